import type { Example } from "./example.ts";

/** What two data sets share: `count` examples of `b`, and the indices of all concerned in each. */
export interface Overlap {
  readonly count: number;
  readonly a: readonly number[];
  readonly b: readonly number[];
}

/**
 * Examples whose prompts (all user turns) are the same up to case, blanks, Unicode form and closing punctuation. Compare before
 * system prompts are applied: their wrappers would hide what is equal.
 */
export function overlap(a: readonly Example[], b: readonly Example[]): Overlap {
  const promptsA = a.map(normalisedPrompt);
  const promptsB = b.map(normalisedPrompt);
  const inB = indicesIn(promptsB, new Set(promptsA));
  return { count: inB.length, a: indicesIn(promptsA, new Set(promptsB)), b: inB };
}

function indicesIn(prompts: readonly string[], others: ReadonlySet<string>): number[] {
  return prompts.flatMap((prompt, i) => (others.has(prompt) ? [i] : []));
}

function normalisedPrompt({ messages }: Example): string {
  const asked = messages.filter(({ role }) => role === "user").map(({ content }) => content);
  const text = asked.join("\n").normalize("NFKC").toLowerCase().replace(/\s+/gu, " ").trim();
  return text.replace(/[\s.!?…。]+$/u, "") || text;
}
