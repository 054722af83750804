/** What server and page tell each other: plain data. */
import type { HeatLinear } from "@safedelta/report/web";

/** What a model is in the story: before and after the fine-tuning, a stop of a stored sweep's dial, or another. */
export type Role = "aligned" | "tuned" | "swept" | "other";

/** A model that is shown. */
export interface SceneModel {
  readonly name: string;
  readonly role: Role;
  /** `tensors`: run by our engine. `mlc`: exported for web-llm. */
  readonly kind: "tensors" | "mlc";
  /** Bytes of its weights as f32, in an engine's memory. */
  readonly f32Bytes: number;
  /** Tokens that a prompt and its answer may have. */
  readonly maxPositions: number;
  /** Of a repaired model: how it was made, in a few words, and its numbers. */
  readonly setting?: string;
  readonly linears?: readonly LinearNumbers[];
}

/** The numbers of one linear that the view by layer shows. */
export interface LinearNumbers extends HeatLinear {
  readonly layer: number;
}

/** Repaired models of one method that differ in their dial alone: from the fine-tuned end to the aligned one. */
export interface StoredSweep {
  /** Unlike that of any model. */
  readonly name: string;
  readonly stops: readonly StoredStop[];
}

/** One of these models, and what its repair left, over all linears. */
export interface StoredStop {
  readonly model: string;
  /** `optimal --loss 0.03` */
  readonly setting: string;
  /** Share of the fine-tuning's safety loss that stays. */
  readonly safetyLossShare: number;
  /** Share of the fine-tuning's change that is kept: 1 − ‖D − Δ‖²/‖Δ‖². */
  readonly changeKept: number;
}

/** A prompt to try. */
export interface Prompt {
  readonly text: string;
  /** What it is there to show. */
  readonly about: string;
}

/** All that the page needs to know at first. */
export interface Scene {
  readonly models: readonly SceneModel[];
  /** The pair that can be repaired in the page, where there are safe examples. */
  readonly repair?: { readonly nExamples: number; readonly nTokens: number };
  readonly sweeps: readonly StoredSweep[];
  readonly prompts: readonly Prompt[];
  readonly maxNewTokens: number;
  /** Longest body of a request that the server takes. */
  readonly mostBodyBytes: number;
  /** The engine of this computer that answers behind the server. */
  readonly hostEngine: string;
  /** Work is watched, and told at /api/progress. */
  readonly watches: boolean;
}

/** How far the work in a watched folder is. */
export interface Progress {
  readonly folder: string;
  readonly what: string;
  readonly nDone: number;
  /** Undefined where it cannot be known. */
  readonly nAll?: number;
  /** `stopped`: begun, and no run works there. */
  readonly state: "waiting" | "running" | "stopped" | "finished";
}

/** A checkpoint without its tensors' values. */
export interface CheckpointHead {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly shape: readonly number[] }[];
  /** Names of the files beside the weights. */
  readonly companions: readonly string[];
}
