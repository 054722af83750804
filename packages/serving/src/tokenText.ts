import type { ScoredToken, TokenScore } from "@safedelta/model";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { ScoredText, TextScore } from "./job.ts";

/** The part of a tokenizer that answers need. */
export type Decoding = Pick<Tokenizer, "decode">;

/** A token as text, with the blank before it that some decoders drop at the beginning of a text. */
export function tokenText(tokenizer: Decoding, id: number): string {
  const text = (ids: number[]) => tokenizer.decode(ids, { skipSpecialTokens: false });
  return text([id, id]).slice(text([id]).length);
}

export function scoredText(tokenizer: Decoding, { top, ...own }: ScoredToken): ScoredText {
  const asText = ({ id, logprob }: TokenScore): TextScore => ({ text: tokenText(tokenizer, id), logprob });
  return { ...asText(own), top: top.map(asText) };
}
