import { type TensorInfo, tensorBytes } from "@safedelta/checkpoint";
import type { Mode } from "@safedelta/core";
import { groupsOfLayer, layerBytes, type ModelConfig } from "@safedelta/model";
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
  /** At `assumedFlopRate`. */
  readonly seconds: number;
}

/** What an apply needs. */
export interface ApplyEstimate {
  readonly flop: number;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly seconds: number;
}

/** f32 operations a second assumed for the time guess: what the WASM engine reaches on one core of a server of 2021. */
export const assumedFlopRate = 20e9;

/** Tokens that go through a layer at once: enough for full speed, small enough for the work matrices. */
export const batchTokens = 512;

/** Operations to factor one n x n Hessian, by part (spectrum: reduction, divide and conquer, back-transformation). */
const factorFlop: Readonly<Record<StatePart, (n: number) => number>> = {
  inverse: (n) => (2 / 3) * n ** 3,
  ordered: (n) => n ** 3,
  spectrum: (n) => 9 * n ** 3,
};

/** Estimate a prepare from the config alone. */
export function estimatePrepare(config: ModelConfig, facts: DataSize, parts: readonly StatePart[]): PrepareEstimate {
  const groups = groupsOfLayer(config, 0);
  const perToken = groups.reduce((sum, g) => sum + g.cols ** 2 + 2 * g.cols * rowsOf(g), 0);
  const perGroup = groups.reduce((sum, g) => sum + parts.reduce((s, part) => s + factorFlop[part](g.cols), 0), 0);
  const flop = config.nLayers * (facts.nTokens * perToken + perGroup);
  const stateBytes = config.nLayers * groups.reduce((sum, g) => sum + groupBytes(g.cols, parts), 0);
  return { flop, stateBytes, memoryBytes: prepareMemory(config, facts), seconds: flop / assumedFlopRate };
}

/** One layer of weights and its Hessians, the factors of the largest group in the making, the work matrices of one batch. */
function prepareMemory(config: ModelConfig, facts: DataSize): number {
  const groups = groupsOfLayer(config, 0);
  const hessians = groups.reduce((sum, g) => sum + 4 * g.cols ** 2, 0);
  const largest = 4 * Math.max(...groups.map((g) => g.cols)) ** 2;
  const tokens = Math.max(batchTokens, Math.min(facts.maxTokens, facts.nTokens));
  const activations =
    4 * tokens * (6 * config.hiddenSize + 3 * config.intermediateSize + 3 * config.nHeads * config.headDim);
  return runtimeBytes + layerBytes(config) + hessians + 8 * largest + 2 * activations;
}

/** Estimate an apply from the config and the list of the output's tensors. */
export function estimateApply(config: ModelConfig, tensors: ReadonlyMap<string, TensorInfo>): ApplyEstimate {
  const sizes = [...tensors.values()].map(tensorBytes);
  const outputBytes = sizes.reduce((sum, size) => sum + size, 0);
  const groups = groupsOfLayer(config, 0);
  const flop = config.nLayers * groups.reduce((sum, g) => sum + 4 * rowsOf(g) * g.cols ** 2, 0);
  const linear = Math.max(...groups.flatMap((g) => g.linears.map(({ rows, cols }) => 4 * rows * cols)));
  const factor = 4 * Math.max(...groups.map((g) => g.cols)) ** 2;
  const memoryBytes = runtimeBytes + 3 * factor + 12 * linear + 2 * Math.max(...sizes);
  return { flop, memoryBytes, outputBytes, seconds: flop / assumedFlopRate };
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
    prepare: estimatePrepare(config, { nTokens, maxTokens: batchTokens }, parts),
    apply: estimateApply(config, tensors),
  };
}

function rowsOf(group: { linears: readonly { rows: number }[] }): number {
  return group.linears.reduce((sum, { rows }) => sum + rows, 0);
}
