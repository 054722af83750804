import { expectedTensors, layerBytes, type ModelConfig, type WeightType, workspaceBytes } from "@safedelta/model";
import { keptWidths } from "./kept.ts";
import { type LoraOptions, loraNumbers } from "./lora.ts";
import { lossBytes } from "./loss.ts";
import { type TrainedPart, updateBytes } from "./parameters.ts";
import { scratchWidth } from "./scratch.ts";
import { sum } from "./sum.ts";
import { weightBytes } from "./weights.ts";

/** What decides the memory of a training. */
export interface TrainingSize {
  readonly config: ModelConfig;
  readonly weights: WeightType;
  readonly part: TrainedPart;
  readonly lora?: LoraOptions;
  /** The most tokens, and positions that count, of any pass. */
  readonly nTokens: number;
  readonly nTargets: number;
  readonly recompute: boolean;
}

/** Bytes of engine memory that a training takes at once, by what holds them. */
export interface TrainingBytes {
  readonly weights: number;
  /** Gradients and AdamW's averages, and an adapter's factors. */
  readonly updates: number;
  /** What forward passes keep, and work matrices. */
  readonly passes: number;
  readonly total: number;
}

/** The bytes of `openModel`, `openTrainer` and its updates. */
export function trainingBytes(size: TrainingSize): TrainingBytes {
  const { config, lora, nTokens, nTargets } = size;
  const weights = weightBytes(size.weights, {
    model: numbersOf(config),
    vectors: numbersOf(config, 1),
    layer: layerBytes(config) / 4,
    head: config.vocabularySize * config.hiddenSize,
  });
  const factors = lora ? 4 * loraNumbers(config, lora) : 0;
  const updates = updateBytes * trainedNumbers(size) + factors;
  const low = lora ? 4 * nTokens * lora.rank : 4 * nTokens;
  const passes = keptBytes(size) + workspaceBytes(config, nTokens) + 4 * nTokens * scratchWidth(config);
  const total = weights + updates + passes + Math.max(low, lossBytes(config, nTargets));
  return { weights, updates, passes: total - weights - updates, total };
}

/** Numbers of a model's tensors, or of those with so many dimensions. */
function numbersOf(config: ModelConfig, nDimensions?: number): number {
  const needed = [...expectedTensors(config).values()].filter(({ optional }) => !optional);
  const counted = needed.filter(({ shape }) => nDimensions === undefined || shape.length === nDimensions);
  return sum(counted.map(({ shape }) => product(shape)));
}

/** Numbers that are trained. */
export function trainedNumbers({ config, part, lora }: Pick<TrainingSize, "config" | "part" | "lora">): number {
  if (lora) return loraNumbers(config, lora);
  if (part === "all") return numbersOf(config);
  const norms = 2 * config.hiddenSize + (config.qkNorm ? 2 * config.headDim : 0);
  return config.nLayers * (layerBytes(config) / 4 - norms);
}

function keptBytes({ config, nTokens, recompute }: TrainingSize): number {
  const layer = sum(Object.values(keptWidths(config)));
  const numbers = recompute ? layer + config.nLayers * config.hiddenSize : config.nLayers * layer;
  return 4 * nTokens * numbers;
}

function product(values: readonly number[]): number {
  return values.reduce((total, value) => total * value, 1);
}
