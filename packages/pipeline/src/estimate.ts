import { type TensorInfo, tensorBytes } from "@safedelta/checkpoint";
import type { Rival } from "@safedelta/core";
import {
  batchTokens,
  groupsOfLayer,
  type LayerGroup,
  type Linear,
  layerBytes,
  type ModelConfig,
} from "@safedelta/model";
import { hiddenStateBytes } from "./calibrate.ts";
import { runtimeBytes } from "./memory.ts";
import { hessianGroups, type Parts, partOf, type StatePart } from "./parts.ts";
import type { DataFacts } from "./sequences.ts";
import { groupBytes } from "./state.ts";

/** What of the data an estimate needs. */
type DataSize = Pick<DataFacts, "nTokens" | "maxTokens" | "nSkipped" | "keyWeight">;

/** What a prepare needs; memory is an estimate, sizes on disk are exact. A device's rate makes a time guess of it. */
export interface PrepareEstimate {
  readonly flop: number;
  readonly memoryBytes: number;
  readonly stateBytes: number;
  /** On disk while it works, and gone afterwards. */
  readonly workBytes: number;
}

/** What an apply needs. */
export interface ApplyEstimate {
  readonly flop: number;
  readonly memoryBytes: number;
  readonly outputBytes: number;
  readonly workBytes: number;
}

/** Operations to factor one n x n Hessian, by part (spectrum: reduction, divide and conquer, back-transformation). */
export const factorFlop: Readonly<Record<StatePart, (n: number) => number>> = {
  inverse: (n) => (2 / 3) * n ** 3,
  ordered: (n) => n ** 3,
  spectrum: (n) => 9 * n ** 3,
  hessian: (n) => n ** 3 / 3,
};

/** Matrices of a group's size, in f32, while one is factored (eigh works in f64), what is written included. */
const factorMatrices: Readonly<Record<StatePart, number>> = { inverse: 4, ordered: 4, spectrum: 8, hessian: 4 };

/** How many λ a wanted loss takes by the Hessian, about. */
const searchSteps = 5;

/** Operations of the repair of a group's linears: products, and factorisations. */
export interface RepairFlop {
  readonly products: number;
  readonly factors: number;
}

/** Two products for each linear; by the Hessian for each λ a Cholesky, and two solves and a triangular product. */
export function repairFlop({ linears, cols }: LayerGroup, isHessian: boolean): RepairFlop {
  const product = 2 * rowsOf({ linears }) * cols ** 2;
  if (!isHessian) return { products: 2 * product, factors: 0 };
  return {
    products: 1.5 * searchSteps * product,
    factors: (1 + searchSteps * linears.length) * factorFlop.hessian(cols),
  };
}

/** Estimate a prepare from the config and the list of the model's tensors. */
export function estimatePrepare(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  facts: DataSize,
  parts: Parts,
): PrepareEstimate {
  const groups = groupsOfLayer(config, 0);
  const perGroup = groups.reduce(
    (sum, g) => sum + parts[g.name].reduce((s, part) => s + factorFlop[part](g.cols), 0),
    0,
  );
  const flop = calibrateFlop(config, facts) + config.nLayers * perGroup;
  const stateBytes = config.nLayers * groups.reduce((sum, g) => sum + groupBytes(g.cols, parts[g.name]), 0);
  const workBytes = hiddenStateBytes(config, facts.nTokens);
  const memoryBytes = calibrateMemory(config, facts, parts) + largestBytes(tensors);
  return { flop, stateBytes, workBytes, memoryBytes };
}

/** The forward pass through the linears, and the Hessians of their inputs. */
function calibrateFlop(config: ModelConfig, { nTokens }: DataSize): number {
  const groups = groupsOfLayer(config, 0);
  return config.nLayers * nTokens * groups.reduce((sum, g) => sum + g.cols ** 2 + 2 * g.cols * rowsOf(g), 0);
}

/** One layer of weights and its Hessians, the factors of one group in the making, the work matrices of one batch. */
function calibrateMemory(config: ModelConfig, facts: DataSize, parts: Parts): number {
  const groups = groupsOfLayer(config, 0);
  const hessians = groups.reduce((sum, g) => sum + 4 * g.cols ** 2, 0);
  const factors = groups.map((g) => 4 * g.cols ** 2 * Math.max(...parts[g.name].map((part) => factorMatrices[part])));
  const tokens = Math.max(batchTokens, Math.min(facts.maxTokens, facts.nTokens));
  const activations =
    4 * tokens * (6 * config.hiddenSize + 3 * config.intermediateSize + 3 * config.nHeads * config.headDim);
  const isWeighted = facts.nSkipped !== undefined || facts.keyWeight !== undefined;
  const counted = isWeighted ? 4 * tokens * Math.max(...groups.map((g) => g.cols)) : 0;
  return runtimeBytes + layerBytes(config) + hessians + Math.max(...factors) + 2 * activations + counted;
}

/** Of the tensor that is read whole to be hashed: often the embeddings, larger than all of a layer. */
function largestBytes(tensors: ReadonlyMap<string, TensorInfo>): number {
  return Math.max(...[...tensors.values()].map(tensorBytes));
}

/** Estimate an apply from the config, the list of the output's tensors and what the state keeps; `task` when there are task data. */
export function estimateApply(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  parts: Parts,
  task?: DataSize,
): ApplyEstimate {
  const sizes = [...tensors.values()].map(tensorBytes);
  const groups = groupsOfLayer(config, 0);
  const hessians = hessianGroups(parts);
  const perLayer = groups.map((g) => repairFlop(g, hessians.includes(g.name)));
  const repairs = config.nLayers * perLayer.reduce((sum, { products, factors }) => sum + products + factors, 0);
  const flop = repairs + (task ? taskFlop(config, task, parts) : 0);
  const linear = Math.max(...groups.flatMap((g) => g.linears.map(({ rows, cols }) => 4 * rows * cols)));
  const repairMemory = loadedMemory(config, parts) + 12 * linear + 2 * largestBytes(tensors);
  return {
    flop,
    memoryBytes: repairMemory + (task ? calibrateMemory(config, task, parts) : runtimeBytes),
    outputBytes: sizes.reduce((sum, size) => sum + size, 0),
    workBytes: task ? hiddenStateBytes(config, task.nTokens) : 0,
  };
}

/**
 * Estimate a rival: three losses a linear in the place of the repair; with Safe LoRA the projection, whose smaller product is as wide as the
 * linear's shorter side.
 */
export function estimateRival(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  parts: Parts,
  method: Rival["method"],
): ApplyEstimate {
  const { memoryBytes, outputBytes, workBytes } = estimateApply(config, tensors, parts);
  const projects = method === "safe-lora";
  const linears = groupsOfLayer(config, 0).flatMap((group) => group.linears);
  const flopOf = ({ rows, cols }: Linear) =>
    6 * rows * cols ** 2 + (projects ? 8 * rows * cols * Math.min(rows, cols) : 0);
  const flop = config.nLayers * linears.reduce((sum, linear) => sum + flopOf(linear), 0);
  const more = linears.map(({ rows, cols }) => 4 * (5 * rows * cols + (projects ? Math.min(rows, cols) ** 2 : 0)));
  return { flop, memoryBytes: memoryBytes + Math.max(...more), outputBytes, workBytes };
}

/** A group's factor as it is read; by the Hessian also its root and that of I + λH. */
function loadedMemory(config: ModelConfig, parts: Parts): number {
  const hessians = hessianGroups(parts);
  return Math.max(...groupsOfLayer(config, 0).map((g) => 4 * g.cols ** 2 * (hessians.includes(g.name) ? 4 : 3)));
}

/**
 * The task's own Hessians; and for each group three products and the spectrum of the whitened one, or for each linear one product, and the
 * root of the task's Hessian for what is told of it.
 */
function taskFlop(config: ModelConfig, task: DataSize, parts: Parts): number {
  const perGroup = groupsOfLayer(config, 0).map(({ name, linears, cols }) => {
    if (partOf(parts, name, "optimal") === "spectrum") return 6 * cols ** 3 + factorFlop.spectrum(cols);
    return 2 * rowsOf({ linears }) * cols ** 2 + 2 * linears.length * factorFlop.hessian(cols);
  });
  return calibrateFlop(config, task) + config.nLayers * perGroup.reduce((sum, flop) => sum + flop, 0);
}

/**
 * Estimate the repair of an adapter, whose A factors are multiplied by a square matrix each.
 * @param tensors of the model that it lies on, which is hashed and compared with the aligned one
 */
export function estimateAdapter(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  adapterTensors: ReadonlyMap<string, TensorInfo>,
  parts: Parts,
): ApplyEstimate {
  const infos = [...adapterTensors.values()];
  const hessians = hessianGroups(parts);
  const perLayer = groupsOfLayer(config, 0).map((g) => repairFlop(g, hessians.includes(g.name)).factors);
  const factors = config.nLayers * perLayer.reduce((sum, flop) => sum + flop, 0);
  const flop = infos.reduce((sum, { shape }) => sum + 2 * (shape[0] ?? 0) * (shape[1] ?? 0) ** 2, factors);
  const outputBytes = infos.reduce((sum, info) => sum + tensorBytes(info), 0);
  const memoryBytes = runtimeBytes + loadedMemory(config, parts) + 4 * outputBytes + 2 * largestBytes(tensors);
  return { flop, memoryBytes, outputBytes, workBytes: 0 };
}

/** Both estimates of a model from its config and tensor list, for `nTokens` safe tokens in all and such parts. */
export function estimateModel(
  config: ModelConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
  parts: Parts,
  nTokens: number,
): { readonly prepare: PrepareEstimate; readonly apply: ApplyEstimate } {
  return {
    prepare: estimatePrepare(config, tensors, { nTokens, maxTokens: batchTokens }, parts),
    apply: estimateApply(config, tensors, parts),
  };
}

/** Rows of all linears of a group. */
export function rowsOf(group: { linears: readonly { rows: number }[] }): number {
  return group.linears.reduce((sum, { rows }) => sum + rows, 0);
}
