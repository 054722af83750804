import { type Model, type Prompt, stopIdsOf } from "@safedelta/model";
import type { Tokenizer } from "@safedelta/tokenizer";
import type { Input, Job } from "./job.ts";

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

/** Makes jobs into what a decoder is to do, the tokens of an input once for all jobs that share it. */
export class Prompts {
  private readonly known = new WeakMap<Input, readonly number[]>();

  constructor(
    private readonly served: ServedModel,
    private readonly room: Room,
  ) {}

  /** @throws RefusedError, TokenizerError */
  of(job: Job): Prompt {
    const ids = this.idsOf(job);
    const maxNewTokens = this.answerLength(job, ids.length);
    const { temperature, topK, topP, seed, stream, nTop, echo } = job;
    const { tokenizer, model } = this.served;
    const stopIds = stopIdsOf(tokenizer, model.config);
    const scorePrompt = echo && nTop !== undefined;
    return { ids, maxNewTokens, stopIds, temperature, topK, topP, seed, stream, nTop, scorePrompt };
  }

  private idsOf(job: Job): readonly number[] {
    const { input } = job;
    if (input.kind === "ids") return input.ids;
    const known = this.known.get(input);
    if (known) return known;
    const text = input.kind === "text" ? input.text : this.rendered(input.messages);
    // Millions of characters take seconds to become tokens: those that cannot have room do not.
    const { tokenizer } = this.served;
    this.answerLength(job, tokenizer.leastTokens(text), "at least ");
    const ids = tokenizer.encode(text, { addSpecialTokens: input.kind === "text" });
    this.known.set(input, ids);
    return ids;
  }

  private rendered(messages: Extract<Input, { kind: "chat" }>["messages"]): string {
    const { tokenizer } = this.served;
    if (messages[0]?.role === "system" && tokenizer.ignoresSystemPrompt())
      throw new RefusedError("invalid", "This model's chat template shows no system message. Leave it out.");
    return tokenizer.renderChat(messages, { addGenerationPrompt: true });
  }

  /** Tokens that may follow a prompt of this length. @throws RefusedError when there is no room for them */
  private answerLength({ maxNewTokens, nDefaultTokens }: Job, nPrompt: number, about = ""): number {
    const left = this.room.nTokens - nPrompt;
    const wanted = maxNewTokens ?? Math.max(1, Math.min(left, nDefaultTokens ?? this.room.nDefault));
    if (wanted <= left) return wanted;
    const text = `The prompt has ${about}${nPrompt} tokens and ${wanted} may follow, but this model is served with room for ${this.room.nTokens}.`;
    throw new RefusedError("tooLong", `${text} Shorten the prompt or ask for fewer tokens.`);
  }
}
