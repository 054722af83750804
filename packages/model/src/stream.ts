import { openDecoderFor } from "./generate.ts";
import type { Model } from "./model.ts";
import type { Prompt } from "./prompt.ts";
import { type Decode, TextPieces } from "./text.ts";
import { nextTurn } from "./turn.ts";

/** How one prompt is answered as text. */
export interface StreamOptions {
  readonly decode: Decode;
  /** Texts that end the answer and do not belong to it. */
  readonly stops?: readonly string[];
  /** Ends the answer between two tokens. */
  readonly signal?: AbortSignal;
}

/**
 * The answer to one prompt, piece by piece, as soon as each is certain; no piece ends inside a character. Between tokens the
 * event loop has its turn. Whoever leaves early, or aborts, frees the memory.
 * @throws ModelError as `generate`; the signal's reason when it is aborted
 */
export async function* streamText(model: Model, prompt: Prompt, options: StreamOptions): AsyncGenerator<string, void> {
  const { decode, stops, signal } = options;
  signal?.throwIfAborted();
  using decoder = openDecoderFor(model, [prompt]);
  const sequence = decoder.add(prompt);
  const pieces = new TextPieces(decode, stops);
  let told = 0;
  while (sequence && decoder.nOpen > 0 && !pieces.stopped) {
    decoder.step();
    for (const { id } of sequence.tokens.slice(told)) {
      told++;
      const piece = pieces.push(id);
      if (piece !== "") yield piece;
    }
    await nextTurn();
    signal?.throwIfAborted();
  }
  const rest = pieces.end();
  if (rest !== "") yield rest;
}
