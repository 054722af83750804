import type { TokenScore } from "@safedelta/model";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { TextScore } from "./job.ts";

/** The part of a tokenizer that answers need. */
export type Decoding = Pick<Tokenizer, "decode">;

/** Tokens of a model as texts, each of which is made once. */
export class TokenTexts {
  private readonly known = new Map<number, string>();

  constructor(private readonly tokenizer: Decoding) {}

  /** With the blank before it that some decoders drop at the beginning of a text. */
  of(id: number): string {
    const known = this.known.get(id);
    if (known !== undefined) return known;
    const decode = (ids: number[]) => this.tokenizer.decode(ids, { skipSpecialTokens: false });
    const text = decode([id, id]).slice(decode([id]).length);
    this.known.set(id, text);
    return text;
  }

  score({ id, logprob }: TokenScore): TextScore {
    return { text: this.of(id), logprob };
  }
}
