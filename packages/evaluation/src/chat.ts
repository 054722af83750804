import type { Message } from "@safedelta/data";
import { EvaluationError } from "./errors.ts";

/** How answers are drawn. */
export interface Drawing {
  /** Above 0. */
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
}

/** How answers are made. */
export interface AnswerOptions {
  /** Most tokens one answer may have. */
  readonly maxNewTokens: number;
  /** Greedy without it, so that a run can be repeated. */
  readonly drawing?: Drawing;
}

/** Anything that answers conversations: a local model, or a remote endpoint. */
export interface ChatModel {
  /** How tables and results call it. */
  readonly name: string;
  /** One answer a prompt, in the order of the prompts, without special tokens. */
  answer(prompts: readonly (readonly Message[])[], options: AnswerOptions): Promise<string[]>;
}

/** One answer to each prompt. @throws EvaluationError when the model gives another number of them */
export async function askAll(
  chat: ChatModel,
  prompts: readonly (readonly Message[])[],
  options: AnswerOptions,
): Promise<string[]> {
  const answers = await chat.answer(prompts, options);
  if (answers.length === prompts.length) return answers;
  throw new EvaluationError(`evaluate: ${chat.name} gave ${answers.length} answers to ${prompts.length} prompts`);
}
