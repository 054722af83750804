import type { Message } from "@safedelta/data";

/** How answers are made; decoding is greedy, so that a run can be repeated. */
export interface AnswerOptions {
  /** Most tokens one answer may have. */
  readonly maxNewTokens: number;
}

/** Anything that answers conversations: a local model, or a remote endpoint later. */
export interface ChatModel {
  /** How tables and results call it. */
  readonly name: string;
  /** One answer a prompt, in the order of the prompts, greedy, without special tokens. */
  answer(prompts: readonly (readonly Message[])[], options: AnswerOptions): Promise<string[]>;
}
