import type { TensorDType } from "@safedelta/checkpoint";
import type { WeightType } from "@safedelta/model";
import type { AdamWOptions, LoraOptions, ScheduleName, TrainedPart, Update } from "@safedelta/training";
import type { EngineStamp } from "../version.ts";
import type { SafetyMix } from "./safetyMix.ts";
import type { TrainingFacts } from "./trainingData.ts";

/** What a fine-tuning is asked to do: everything that decides the result, and where it comes from and goes. */
export interface FinetuneOptions extends FinetuneRecipe {
  readonly model: string;
  /** JSONL, JSON, CSV or parquet of conversations. */
  readonly data: string;
  /** Safety examples among them. */
  readonly safetyMix?: SafetyMix;
  readonly out: string;
  /** Unfinished work is kept on the disk at most this far apart. */
  readonly saveMinutes: number;
  readonly maxShardBytes: number;
  readonly offline: boolean;
  readonly overwrite: boolean;
  readonly maxMemoryBytes?: number;
}

/** The settings that decide the result. */
export interface FinetuneRecipe {
  /** How matrices are kept between updates; norms, biases and AdamW's averages are f32. */
  readonly weights: WeightType;
  /** What of the model is trained; not read with `lora`. */
  readonly part: TrainedPart;
  /** All linears of a layer unless `targets` says which. */
  readonly lora?: Omit<LoraOptions, "targets"> & Partial<Pick<LoraOptions, "targets">>;
  /** Peak of the learning rate. */
  readonly rate: number;
  readonly schedule: ScheduleName;
  /** Updates of warm-up, or, below 1, their share of all. */
  readonly warmup: number;
  /** What the rate is multiplied by after each epoch; 1: nothing. */
  readonly epochDecay: number;
  /** Largest global norm of a gradient; 0: none. */
  readonly clip: number;
  readonly adamW: AdamWOptions;
  /** Examples of one update. */
  readonly batch: number;
  readonly epochs: number;
  /** Stop after so many updates; the schedule still runs over all. */
  readonly maxUpdates?: number;
  /** Longer examples are cut. */
  readonly maxTokens: number;
  /** Most tokens forward and backward at once; a batch's gradients are summed over its passes. */
  readonly passTokens: number;
  /** Of the order of the examples, and of an adapter's first factors. */
  readonly seed: number;
  /** Storage type of the output's trained tensors; as the model's own unless given. */
  readonly dtype?: Extract<TensorDType, "F32" | "F16" | "BF16">;
}

/** One line of the training log. */
export interface LogEntry extends Update {
  /** Number of the update, from 1. */
  readonly update: number;
  /** From 1. */
  readonly epoch: number;
  readonly rate: number;
}

/** Everything there is to say about a finished fine-tuning, without times or places. */
export interface FinetuneFacts {
  readonly toolVersion: string;
  readonly engine: EngineStamp;
  /** As the user spelled it, as it may be called in public, and the hash of its content. */
  readonly model: { readonly spec: string; readonly name: string; readonly hash: string };
  readonly licence?: string;
  /** Of an adapter: what it lies on. */
  readonly lora?: LoraOptions;
  readonly data: TrainingFacts;
  /** Numbers that were trained, and of the whole model. */
  readonly nTrained: number;
  readonly nUpdates: number;
  readonly log: readonly LogEntry[];
  /** sha256 of the bytes of each written tensor. */
  readonly tensors: Readonly<Record<string, string>>;
  /** sha256 of each file that is handed on beside the weights. */
  readonly files: Readonly<Record<string, string>>;
}
