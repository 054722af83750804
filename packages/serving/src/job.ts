import type { Sampling } from "@safedelta/model";
import type { Message } from "@safedelta/tokenizer";

/** What is asked of a model. */
export type Input =
  | { readonly kind: "chat"; readonly messages: readonly Message[] }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ids"; readonly ids: readonly number[] };

/** One answer to be made: what a request asks for each of its choices. Plain data, since it goes to a worker. */
export interface Job extends Sampling {
  readonly model: string;
  readonly input: Input;
  /** Most tokens of the answer; undefined: what there is room for, within the default. */
  readonly maxNewTokens?: number;
  /** That default; undefined: the host's. */
  readonly nDefaultTokens?: number;
  /** Texts that end the answer and do not belong to it. */
  readonly stops: readonly string[];
  readonly seed: number;
  /** Which of the seed's independent streams of draws. */
  readonly stream: number;
  /** Log-probabilities are wanted, and those of so many likeliest tokens beside each. */
  readonly nTop?: number;
  /** The token that stops an answer is among those whose log-probabilities are told. */
  readonly scoreStop: boolean;
  /** The prompt is given back, with log-probabilities where they are wanted. */
  readonly echo: boolean;
}

/** A token as text and the natural logarithm of its probability; null where nothing precedes it. */
export interface TextScore {
  readonly text: string;
  readonly logprob: number | null;
}

/** A token with the likeliest ones in its place. */
export interface ScoredText extends TextScore {
  /** Where it begins in the text of all events of the job, in UTF-16 units. */
  readonly offset: number;
  readonly top: readonly TextScore[];
}

/** Why a job is not done: the caller's fault (`invalid`, `tooLong`) or ours (`failed`). */
export interface Refusal {
  readonly kind: "invalid" | "tooLong" | "failed";
  readonly message: string;
}

/** What becomes of a job, in this order: refused, or started, any number of texts, ended. */
export type JobEvent =
  | { readonly kind: "refused"; readonly refusal: Refusal }
  | { readonly kind: "started"; readonly nPromptTokens: number }
  | { readonly kind: "text"; readonly text: string; readonly tokens: readonly ScoredText[] }
  | { readonly kind: "ended"; readonly finish: "stop" | "length"; readonly nNewTokens: number };

/** To the side that computes. Jobs of one request come together, `ids` beside them, so that those that share an input still do. */
export type ToHost =
  | { readonly kind: "start"; readonly ids: readonly number[]; readonly jobs: readonly Job[] }
  | { readonly kind: "cancel"; readonly id: number };

/** From the side that computes. */
export interface FromHost {
  readonly id: number;
  readonly event: JobEvent;
}
