import type { ModelConfig } from "./config.ts";
import { checkIds } from "./embed.ts";
import { ModelError } from "./error.ts";
import type { Sampling } from "./sample.ts";

/** One prompt to be answered. */
export interface Prompt extends Sampling {
  readonly ids: readonly number[];
  /** Most tokens to add. */
  readonly maxNewTokens: number;
  /** Tokens that end the answer; those of config.json unless given. */
  readonly stopIds?: readonly number[];
  /** Of the draws with `temperature`. */
  readonly seed?: number;
  /** Which of the seed's independent streams of draws; 0 unless given. */
  readonly stream?: number;
  /** Log-probabilities are wanted, and those of so many of the likeliest tokens beside each. */
  readonly nTop?: number;
  /** Of the prompt's tokens, too. */
  readonly scorePrompt?: boolean;
}

/** What is wrong with how an answer is to be drawn; empty where nothing is. */
export function optionProblems({
  maxNewTokens,
  temperature = 0,
  topK = 1,
  topP = 1,
  nTop = 0,
}: Omit<Prompt, "ids">): string[] {
  return [
    isCount(maxNewTokens, 0) ? "" : `maxNewTokens is ${maxNewTokens}; a whole number from 0 is needed.`,
    Number.isFinite(temperature) && temperature >= 0 ? "" : `temperature is ${temperature}; it must be 0 or more.`,
    isCount(topK, 1) ? "" : `topK is ${topK}; a whole number from 1 is needed.`,
    topP > 0 && topP <= 1 ? "" : `topP is ${topP}; it must be above 0 and at most 1.`,
    isCount(nTop, 0) ? "" : `nTop is ${nTop}; a whole number from 0 is needed.`,
  ].filter((problem) => problem !== "");
}

/**
 * @param name what messages call it
 * @throws ModelError (`incompatible`) when an option is out of range, or the prompt is empty, too long for the model, or holds
 * unknown ids
 */
export function checkPrompt(config: ModelConfig, prompt: Prompt, name = "The prompt"): void {
  const { ids, maxNewTokens } = prompt;
  const problems = optionProblems(prompt);
  if (ids.length === 0) problems.push(`${name} is empty.`);
  if (ids.length + maxNewTokens > config.maxPositions)
    problems.push(
      `${name} has ${ids.length} tokens and ${maxNewTokens} may follow; the model has ${config.maxPositions} positions. Shorten it, or let fewer follow.`,
    );
  if (problems.length > 0) throw new ModelError("incompatible", problems);
  checkIds(config, ids);
}

export function isCount(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}
