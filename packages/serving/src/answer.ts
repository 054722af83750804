import { type Model, type Prompt, type Sequence, TextPieces } from "@safedelta/model";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { Input, Job, JobEvent, ScoredText } from "./job.ts";
import { scoredText, tokenText } from "./tokenText.ts";

/** A model that is served. */
export interface ServedModel {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

/** Room of a model's answers, in tokens. */
export interface Room {
  /** All that a prompt and its answer may have. */
  readonly nTokens: number;
  /** Of an answer whose length is not asked for. */
  readonly nDefault: number;
}

/** A request that cannot be answered as it is. */
export class RefusedError extends Error {
  override name = "RefusedError";
  constructor(
    readonly kind: "invalid" | "tooLong",
    message: string,
  ) {
    super(message);
  }
}

/** Tokens of a job's prompt. @throws RefusedError, TokenizerError */
function promptIds({ tokenizer }: ServedModel, input: Input): readonly number[] {
  if (input.kind === "ids") return input.ids;
  if (input.kind === "text") return tokenizer.encode(input.text, { addSpecialTokens: true });
  if (input.messages[0]?.role === "system" && tokenizer.ignoresSystemPrompt())
    throw new RefusedError("invalid", "This model's chat template shows no system message. Leave it out.");
  return tokenizer.encodeChat(input.messages, { addGenerationPrompt: true });
}

/** What the decoder is to do for a job. @throws RefusedError, TokenizerError */
export function promptOf(served: ServedModel, job: Job, room: Room): Prompt {
  const ids = promptIds(served, job.input);
  const left = room.nTokens - ids.length;
  const { maxNewTokens = Math.max(1, Math.min(left, room.nDefault)) } = job;
  if (maxNewTokens > left) {
    const text = `The prompt has ${ids.length} tokens and ${maxNewTokens} may follow, but this model is served with room for ${room.nTokens}.`;
    throw new RefusedError("tooLong", `${text} Shorten the prompt or ask for fewer tokens.`);
  }
  const { temperature, topK, topP, seed, stream, nTop, echo } = job;
  const stopIds = [...new Set([...served.tokenizer.eosIds, ...served.model.config.eosIds])];
  const scorePrompt = echo && nTop !== undefined;
  return { ids, maxNewTokens, stopIds, temperature, topK, topP, seed, stream, nTop, scorePrompt };
}

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
