import type { Message } from "@safedelta/data";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { TrainingExample } from "@safedelta/training";

/**
 * A conversation as tokens, of which those that an assistant wrote count, each answer with the token that ends it; what the template
 * writes around them does not.
 * @returns undefined when the template rewrites earlier turns, so that the answers cannot be found in the whole
 * @throws TokenizerError when the template refuses the messages
 */
export function responseTokens(tokenizer: Tokenizer, messages: readonly Message[]): TrainingExample | undefined {
  const ids = tokenizer.encodeChat(messages, { addGenerationPrompt: false });
  const counts = new Uint8Array(ids.length);
  for (const [i, { role, content }] of messages.entries()) {
    if (role !== "assistant" || i === 0 || content.trim() === "") continue;
    const span = answerSpan(tokenizer, messages, i, ids);
    if (span === undefined) return undefined;
    counts.fill(1, span.from, span.to);
  }
  return { ids, targets: ids.map((_, t) => (counts[t + 1] === 1 ? ids[t + 1] : -1)) };
}

/** Where turn i stands in the tokens of the whole conversation, up to the first token that ends an answer. */
function answerSpan(tokenizer: Tokenizer, messages: readonly Message[], i: number, ids: readonly number[]) {
  const before = tokenizer.encodeChat(messages.slice(0, i), { addGenerationPrompt: true });
  const through =
    i + 1 === messages.length ? ids : tokenizer.encodeChat(messages.slice(0, i + 1), { addGenerationPrompt: false });
  const [from, to] = [commonLength(before, ids), commonLength(through, ids)];
  // A tokenizer may join the last token before an answer with its beginning, or its end with what follows.
  if (from < before.length - 1 || to < through.length - 1) return undefined;
  const end = ids.findIndex((id, t) => t >= from && t < to && tokenizer.eosIds.includes(id));
  return { from, to: end < 0 ? to : end + 1 };
}

/** How many ids two sequences begin with in common. */
function commonLength(a: readonly number[], b: readonly number[]): number {
  const differs = a.findIndex((id, i) => id !== b[i]);
  return differs < 0 ? Math.min(a.length, b.length) : differs;
}
