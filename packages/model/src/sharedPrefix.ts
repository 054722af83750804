/** A sequence as far as its prompt and its cache go. */
export interface Begun {
  readonly prompt: { readonly ids: readonly number[]; readonly scorePrompt?: boolean };
  /** Tokens in the cache. */
  readonly past: number;
}

/** Fewer tokens than these are sooner run again than waited for. */
const leastShared = 16;

/**
 * What a sequence that has not begun can take over from another: chat prompts mostly begin alike, with template and system prompt, and what the
 * first tokens leave in the cache depends on nothing behind them. The last token of a prompt is always run, since its logits are wanted, and
 * so is a prompt whose positions are scored.
 * @param others those that stand before it
 * @returns of what others have run the most that it shares; `wait` where one of them will run enough more of it; undefined where too little is shared
 */
export function sharedPrefix<T extends Begun>(
  { prompt, past }: Begun,
  others: readonly T[],
): { readonly from: T; readonly length: number } | "wait" | undefined {
  if (past > 0 || prompt.scorePrompt) return undefined;
  const most = prompt.ids.length - 1;
  let [longest, best]: [number, { from: T; length: number } | undefined] = [0, undefined];
  for (const from of others) {
    const common = commonLength(prompt.ids, from.prompt.ids, most);
    const length = Math.min(common, from.past);
    longest = Math.max(longest, common);
    if (length > (best?.length ?? 0)) best = { from, length };
  }
  if (longest - (best?.length ?? 0) >= leastShared) return "wait";
  return best && best.length >= leastShared ? best : undefined;
}

function commonLength(a: readonly number[], b: readonly number[], most: number): number {
  const end = Math.min(most, b.length);
  for (let i = 0; i < end; i++) if (a[i] !== b[i]) return i;
  return end;
}
