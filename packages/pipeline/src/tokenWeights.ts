import type { Message } from "@safedelta/data";
import type { Tokenizer } from "@safedelta/tokenizer";
import { PipelineError } from "./errors.ts";
import { responseTokens } from "./finetune/responseTokens.ts";

/** Which tokens of an example its Hessians count, and how often; each of them once unless said otherwise. */
export interface TokenCounting {
  /** So many tokens at the start of each example are left out; `shared`: those with which all examples begin. */
  readonly skipTokens?: number | "shared";
  /** How often the key tokens count: the last one before an answer, which decides between refusing and answering, and the answer's first four. */
  readonly keyWeight?: number;
}

/** What came of it, as it is kept beside the result; nothing where each token counts once. */
export interface CountedFacts {
  readonly nSkipped?: number;
  readonly keyWeight?: number;
}

/** Tokens from the last one before an answer on that are its key tokens. */
const nKeyTokens = 5;

/**
 * The weight of each token of some sequences.
 * @param ids the sequences as they are run, cut ones included
 * @param conversations their messages, in the same order
 * @returns a list of weights for each sequence; undefined where each token counts once
 * @throws PipelineError `usage` when an example has no token left, or the answers cannot be found among its tokens
 */
export function weighTokens(
  ids: readonly (readonly number[])[],
  conversations: readonly (readonly Message[])[],
  tokenizer: Tokenizer,
  { file, skipTokens = 0, keyWeight = 1 }: TokenCounting & { readonly file: string },
): { readonly weights?: readonly (readonly number[])[]; readonly facts: CountedFacts } {
  const nSkipped = skipTokens === "shared" ? sharedLength(file, ids) : skipTokens;
  if (nSkipped === 0 && keyWeight === 1) return { facts: {} };
  requireRest(file, ids, nSkipped);
  const weights = ids.map((sequence, i) => {
    const isKey = keyWeight === 1 ? () => false : keysOf(file, conversations[i], tokenizer);
    return sequence.map((_, t) => (t < nSkipped ? 0 : isKey(t) ? keyWeight : 1));
  });
  return {
    weights,
    facts: { ...(nSkipped > 0 ? { nSkipped } : {}), ...(keyWeight === 1 ? {} : { keyWeight }) },
  };
}

/** With how many tokens all sequences begin alike. @throws PipelineError `usage` where that leaves nothing of the first, as of a single one */
function sharedLength(file: string, ids: readonly (readonly number[])[]): number {
  if (ids.length < 2)
    throw new PipelineError(
      "usage",
      `${file}: --skip-tokens shared compares examples, and there is one alone. Give a number.`,
    );
  const [first, ...others] = ids;
  const differs = first.findIndex((id, t) => others.some((other) => other[t] !== id));
  if (differs < 0)
    throw new PipelineError(
      "usage",
      `${file}: --skip-tokens shared, and the other examples begin with all ${first.length} tokens of the first. Give a number.`,
    );
  return differs;
}

/** @throws PipelineError `usage` naming the first example with nothing left to count */
function requireRest(file: string, ids: readonly (readonly number[])[], nSkipped: number): void {
  const bare = ids.findIndex((sequence) => sequence.length <= nSkipped);
  if (bare < 0) return;
  throw new PipelineError(
    "usage",
    `${file}: example ${bare + 1} of those drawn has ${ids[bare].length} tokens, and the first ${nSkipped} are left out (--skip-tokens of the safe statistics), so nothing of it would count. Give longer examples, or make those with a smaller number.`,
  );
}

/** Tells the key tokens of a conversation by their place. */
function keysOf(file: string, messages: readonly Message[], tokenizer: Tokenizer): (t: number) => boolean {
  const targets = responseTokens(tokenizer, messages)?.targets;
  if (targets === undefined)
    throw new PipelineError(
      "usage",
      `${file}: this model's chat template rewrites earlier turns, so --key-weight cannot tell where an answer begins. Leave it away.`,
    );
  // targets[t] >= 0: the token behind t is one of an answer.
  const keys = new Set<number>();
  for (const [t, target] of targets.entries()) {
    if (target < 0 || (targets[t - 1] ?? -1) >= 0) continue;
    for (let key = t; key < t + nKeyTokens && (key === t || targets[key - 1] >= 0); key++) keys.add(key);
  }
  return (t) => keys.has(t);
}
