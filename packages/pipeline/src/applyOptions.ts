import type { Mode, RepairNumbers } from "@safedelta/core";
import type { Method } from "./repairLinear.ts";
import type { RivalMethod } from "./rivals.ts";
import type { DataFacts, DataOptions } from "./sequences.ts";
import type { EngineStamp } from "./version.ts";

/** Where the safe statistics come from: a prepared state, or safe examples to prepare from on the way. */
export type SafeSource = { readonly state: string } | SafeExamples;

/** Safe examples to prepare from on the way; `damping` as for `prepare`. */
export interface SafeExamples {
  readonly safeData: DataOptions;
  readonly damping?: number;
}

/** Models, places and limits of an apply. */
interface Surroundings {
  readonly aligned: string;
  readonly tuned: string;
  readonly source: SafeSource;
  readonly out: string;
  /** Whose tensors the output has where nothing is repaired: embeddings, norms, lm_head. */
  readonly rest: "aligned" | "tuned";
  readonly maxShardBytes: number;
  readonly offline: boolean;
  readonly overwrite: boolean;
  readonly maxMemoryBytes?: number;
}

/** What `apply` is asked to do. */
export interface ApplyOptions extends Surroundings, Method {
  /** Turns `optimal` into its utility-aware form. */
  readonly taskData?: DataOptions;
  /** The model through which the task data go; the tuned one unless given. */
  readonly taskThrough?: TaskThrough;
  /** In its place an earlier repair of the same pair, whose activations are nearest to those of the one to come. */
  readonly third?: string;
}

/** One of the pair. Of the tuned model the task's activations are nearer to those of the repaired one where it keeps much, of the aligned model where it keeps little. */
export type TaskThrough = "aligned" | "tuned";

/** The same with a rival in the place of Safe Delta; the safe statistics then serve to measure it. */
export interface RivalOptions extends Surroundings, RivalMethod {}

/** Whatever makes the weights. */
export type AnyOptions = ApplyOptions | RivalOptions;

/** One repaired linear in the report. */
export interface LinearFacts extends RepairNumbers {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
}

/** One of the models: as the user spelled it, as it may be called in public, and the hash of its content (`hashModel`). */
export interface ModelFacts {
  readonly spec: string;
  readonly name: string;
  readonly hash: string;
}

/** Everything there is to say about a finished repair, without times or places. */
export interface ApplyFacts {
  readonly toolVersion: string;
  readonly engine: EngineStamp;
  readonly aligned: ModelFacts;
  readonly tuned: ModelFacts;
  /** Of the rivals that have one; or the earlier repair that task data went through. */
  readonly third?: ModelFacts;
  /** Of the aligned model, when its card states one. */
  readonly licence?: string;
  readonly stateHash: string;
  /** What the state was made with: by which engine, with which damping, for which modes. */
  readonly statePlan: { readonly engine: string; readonly damping: number; readonly modes: readonly Mode[] };
  readonly safeData: DataFacts;
  readonly taskData?: DataFacts;
  /** Storage type of the repaired weights. */
  readonly dtype: string;
  readonly layers: readonly { readonly layer: number; readonly linears: readonly LinearFacts[] }[];
  /** sha256 of the bytes of each written tensor. */
  readonly tensors: Readonly<Record<string, string>>;
  /** sha256 of each file that is handed on beside the weights (config, tokenizer, template, licence). */
  readonly files: Readonly<Record<string, string>>;
}
