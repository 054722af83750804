import { type Sequence, TextPieces } from "@safedelta/model";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { Job, JobEvent, ScoredText } from "./job.ts";
import { scoredText, tokenText } from "./tokenText.ts";

/** Turns what the decoder has made of a sequence into events. */
export class Answer {
  private readonly pieces: TextPieces;
  private begun = false;
  private told = 0;

  constructor(
    private readonly tokenizer: Tokenizer,
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
    if (!this.begun && (tokens.length > 0 || finish)) {
      this.begun = true;
      if (this.job.echo) yield this.echo();
    }
    let text = "";
    const scored: ScoredText[] = [];
    while (this.told < tokens.length && !this.pieces.stopped) {
      const { id, score } = tokens[this.told++];
      text += this.pieces.push(id);
      if (score) scored.push(scoredText(this.tokenizer, score));
    }
    if (finish) text += this.pieces.end();
    if (stopToken?.score && this.job.scoreStop) scored.push(scoredText(this.tokenizer, stopToken.score));
    if (text !== "" || scored.length > 0) yield { kind: "text", text, tokens: scored };
    if (!this.ended) return;
    // A stop string may come with the last token that there was room for.
    const reason = this.pieces.stopped ? "stop" : (finish ?? "stop");
    yield { kind: "ended", finish: reason, nNewTokens: this.told };
  }

  private echo(): JobEvent {
    const { prompt, promptScores } = this.sequence;
    const { input } = this.job;
    const text = input.kind === "text" ? input.text : this.tokenizer.decode(prompt.ids, { skipSpecialTokens: false });
    if (prompt.nTop === undefined) return { kind: "text", text, tokens: [] };
    const first: ScoredText = { text: tokenText(this.tokenizer, prompt.ids[0]), logprob: null, top: [] };
    return { kind: "text", text, tokens: [first, ...promptScores.map((score) => scoredText(this.tokenizer, score))] };
  }
}
