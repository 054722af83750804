import { type TensorInfo, tensorBytes } from "@safedelta/checkpoint";
import type { Mode } from "@safedelta/core";
import { groupsOfLayer, layerBytes, type ModelConfig } from "@safedelta/model";
import { batchTokens, hiddenStateBytes } from "./calibrate.ts";
import { runtimeBytes } from "./memory.ts";
import type { DataFacts } from "./sequences.ts";
import { groupBytes, partOf, type StatePart } from "./state.ts";

/** What of the data an estimate needs. */
type DataSize = Pick<DataFacts, "nTokens" | "maxTokens">;

/** What a prepare needs; memory and time are estimates, sizes on disk are exact. */
export interface PrepareEstimate {
  readonly flop: number;
  readonly memoryBytes: number;
  readonly stateBytes: number;
  /** On disk while it works, and gone afterwards. */
  readonly workBytes: number;
  /** At `assumedFlopRate`. */
  readonly seconds: number;
}

/** What an apply needs. */
export interface ApplyEstimate {
  readonly flop: number;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly workBytes: number;
  readonly seconds: number;
}

/** f32 operations a second assumed for the time guess: what the WASM engine reaches on one core of a server of 2021. */
export const assumedFlopRate = 20e9;

/** Operations to factor one n x n Hessian, by part (spectrum: reduction, divide and conquer, back-transformation). */
export const factorFlop: Readonly<Record<StatePart, (n: number) => number>> = {
  inverse: (n) => (2 / 3) * n ** 3,
  ordered: (n) => n ** 3,
  spectrum: (n) => 9 * n ** 3,
};

/** Estimate a prepare from the config and the list of the model's tensors. */
export function estimatePrepare(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  facts: DataSize,
  parts: readonly StatePart[],
): PrepareEstimate {
  const groups = groupsOfLayer(config, 0);
  const perGroup = groups.reduce((sum, g) => sum + parts.reduce((s, part) => s + factorFlop[part](g.cols), 0), 0);
  const flop = calibrateFlop(config, facts) + config.nLayers * perGroup;
  const stateBytes = config.nLayers * groups.reduce((sum, g) => sum + groupBytes(g.cols, parts), 0);
  const workBytes = hiddenStateBytes(config, facts.nTokens);
  const memoryBytes = calibrateMemory(config, facts) + largestBytes(tensors);
  return { flop, stateBytes, workBytes, memoryBytes, seconds: flop / assumedFlopRate };
}

/** The forward pass through the linears, and the Hessians of their inputs. */
function calibrateFlop(config: ModelConfig, { nTokens }: DataSize): number {
  const groups = groupsOfLayer(config, 0);
  return config.nLayers * nTokens * groups.reduce((sum, g) => sum + g.cols ** 2 + 2 * g.cols * rowsOf(g), 0);
}

/** One layer of weights and its Hessians, the factors of the largest group in the making, the work matrices of one batch. */
function calibrateMemory(config: ModelConfig, facts: DataSize): number {
  const groups = groupsOfLayer(config, 0);
  const hessians = groups.reduce((sum, g) => sum + 4 * g.cols ** 2, 0);
  const largest = 4 * Math.max(...groups.map((g) => g.cols)) ** 2;
  const tokens = Math.max(batchTokens, Math.min(facts.maxTokens, facts.nTokens));
  const activations =
    4 * tokens * (6 * config.hiddenSize + 3 * config.intermediateSize + 3 * config.nHeads * config.headDim);
  return runtimeBytes + layerBytes(config) + hessians + 8 * largest + 2 * activations;
}

/** Of the tensor that is read whole to be hashed: often the embeddings, larger than all of a layer. */
function largestBytes(tensors: ReadonlyMap<string, TensorInfo>): number {
  return Math.max(...[...tensors.values()].map(tensorBytes));
}

/** Estimate an apply from the config and the list of the output's tensors; `task` when there are task data. */
export function estimateApply(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  task?: DataSize,
): ApplyEstimate {
  const sizes = [...tensors.values()].map(tensorBytes);
  const groups = groupsOfLayer(config, 0);
  const repairs = config.nLayers * groups.reduce((sum, g) => sum + 4 * rowsOf(g) * g.cols ** 2, 0);
  const flop = repairs + (task ? taskFlop(config, task) : 0);
  const linear = Math.max(...groups.flatMap((g) => g.linears.map(({ rows, cols }) => 4 * rows * cols)));
  const factor = 4 * Math.max(...groups.map((g) => g.cols)) ** 2;
  const repairMemory = 3 * factor + 12 * linear + 2 * largestBytes(tensors);
  return {
    flop,
    memoryBytes: repairMemory + (task ? calibrateMemory(config, task) : runtimeBytes),
    outputBytes: sizes.reduce((sum, size) => sum + size, 0),
    workBytes: task ? hiddenStateBytes(config, task.nTokens) : 0,
    seconds: flop / assumedFlopRate,
  };
}

/** The task's own Hessians, and for each group three products and the spectrum of the whitened one. */
function taskFlop(config: ModelConfig, task: DataSize): number {
  const perGroup = groupsOfLayer(config, 0).reduce((sum, g) => sum + 6 * g.cols ** 3 + factorFlop.spectrum(g.cols), 0);
  return calibrateFlop(config, task) + config.nLayers * perGroup;
}

/**
 * Estimate the repair of an adapter, whose A factors are multiplied by a square matrix each.
 * @param tensors of the model that it lies on, which is hashed and compared with the aligned one
 */
export function estimateAdapter(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  adapterTensors: ReadonlyMap<string, TensorInfo>,
): ApplyEstimate {
  const infos = [...adapterTensors.values()];
  const factor = 4 * Math.max(...groupsOfLayer(config, 0).map((g) => g.cols)) ** 2;
  const flop = infos.reduce((sum, { shape }) => sum + 2 * (shape[0] ?? 0) * (shape[1] ?? 0) ** 2, 0);
  const outputBytes = infos.reduce((sum, info) => sum + tensorBytes(info), 0);
  const memoryBytes = runtimeBytes + 3 * factor + 4 * outputBytes + 2 * largestBytes(tensors);
  return { flop, memoryBytes, outputBytes, workBytes: 0, seconds: flop / assumedFlopRate };
}

/** Both estimates of a model from its config and tensor list, for `nTokens` safe tokens in all. */
export function estimateModel(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  modes: readonly Mode[],
  nTokens: number,
): { readonly prepare: PrepareEstimate; readonly apply: ApplyEstimate } {
  const parts = [...new Set(modes.map((mode) => partOf[mode]))];
  return {
    prepare: estimatePrepare(config, tensors, { nTokens, maxTokens: batchTokens }, parts),
    apply: estimateApply(config, tensors),
  };
}

/** Rows of all linears of a group. */
export function rowsOf(group: { linears: readonly { rows: number }[] }): number {
  return group.linears.reduce((sum, { rows }) => sum + rows, 0);
}
