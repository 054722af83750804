import { type ScoredToken, type Sequence, TextPieces } from "@safedelta/model";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { Job, JobEvent, ScoredText } from "./job.ts";
import { Places } from "./places.ts";
import type { TokenTexts } from "./tokenText.ts";

/** Turns what the decoder has made of a sequence into events. */
export class Answer {
  private readonly pieces: TextPieces;
  /** In the prompt, where it is given back. */
  private places: Places | undefined;
  /** Tokens of the prompt, and of the answer, that are told. */
  private nPromptTold = 0;
  private nTold = 0;

  /** @param texts of the same tokenizer */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly texts: TokenTexts,
    private readonly job: Job,
    readonly sequence: Sequence,
  ) {
    this.pieces = new TextPieces((ids) => tokenizer.decode(ids, { skipSpecialTokens: true }), job.stops);
  }

  /** True when nothing more is to come. */
  get ended(): boolean {
    return this.pieces.stopped || this.sequence.finish !== undefined;
  }

  /** Events since the last call. */
  *news(): Generator<JobEvent, void> {
    const { tokens, finish, stopToken } = this.sequence;
    if (this.job.echo) yield* this.echo();
    let text = "";
    const scored: ScoredText[] = [];
    while (this.nTold < tokens.length && !this.pieces.stopped) {
      const { id, score } = tokens[this.nTold++];
      if (score) scored.push(this.scored(score, this.end));
      text += this.pieces.push(id);
    }
    if (finish) text += this.pieces.end();
    if (stopToken?.score && this.job.scoreStop) scored.push(this.scored(stopToken.score, this.end));
    if (text !== "" || scored.length > 0) yield { kind: "text", text, tokens: scored };
    if (!this.ended) return;
    // A stop string may come with the last token that there was room for.
    const reason = this.pieces.stopped ? "stop" : (finish ?? "stop");
    yield { kind: "ended", finish: reason, nNewTokens: this.nTold };
  }

  /** Where the text of the next token will begin. */
  private get end(): number {
    return (this.places?.text.length ?? 0) + this.pieces.nCertain;
  }

  /** The prompt: its text at first, the scores of its tokens as they come. */
  private *echo(): Generator<JobEvent, void> {
    const { prompt, promptScores } = this.sequence;
    this.places ??= new Places(this.promptText());
    const { places } = this;
    const text = this.nPromptTold === 0 ? places.text : "";
    const tokens: ScoredText[] = [];
    if (this.nPromptTold === 0 && prompt.nTop !== undefined) {
      const first = this.texts.of(prompt.ids[0]);
      tokens.push({ text: first, logprob: null, offset: places.next(first), top: [] });
    }
    for (const score of promptScores.slice(Math.max(0, this.nPromptTold - 1)))
      tokens.push(this.scored(score, places.next(this.texts.of(score.id))));
    this.nPromptTold = 1 + promptScores.length;
    if (text !== "" || tokens.length > 0) yield { kind: "text", text, tokens };
  }

  private promptText(): string {
    const { input } = this.job;
    if (input.kind === "text") return input.text;
    return this.tokenizer.decode(this.sequence.prompt.ids, { skipSpecialTokens: false });
  }

  private scored({ top, ...own }: ScoredToken, offset: number): ScoredText {
    return { ...this.texts.score(own), offset, top: top.map((one) => this.texts.score(one)) };
  }
}
