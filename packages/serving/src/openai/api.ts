import type { ChoiceEvent } from "../client.ts";
import { ApiError } from "../errors.ts";
import type { Job, Refusal, ScoredText } from "../job.ts";

/** A request as it was understood: the jobs of its choices, and how events become documents. */
export interface ApiRequest {
  readonly jobs: readonly Job[];
  /** Jobs that share one prompt: those after each other. */
  readonly nEach: number;
  readonly model: string;
  readonly stream: boolean;
  /** A last chunk of the stream tells the counts. */
  readonly streamUsage: boolean;
  readonly format: Format;
}

/** How one kind of answer is written. */
export interface Format {
  /** Of the document as a whole and of a chunk of a stream, and the beginning of ids. */
  readonly object: string;
  readonly chunkObject: string;
  readonly idPrefix: string;
  /** A choice as a whole. */
  choice(index: number, collected: Collected): object;
  /** The first chunk of a choice, where there is one before its text. */
  first?(index: number): object;
  chunk(index: number, text: string, tokens: readonly ScoredText[]): object;
  last(index: number, finish: Finish): object;
}

export type Finish = "stop" | "length";

/** All of a choice. */
export interface Collected {
  readonly text: string;
  readonly tokens: readonly ScoredText[];
  readonly finish: Finish;
}

/** Counts over all choices: a prompt that several of them share is counted once. */
export class Usage {
  private nPrompt = 0;
  private nNew = 0;

  /** @param nEach choices that share one prompt */
  constructor(private readonly nEach: number) {}

  hear({ choice, event }: ChoiceEvent): void {
    if (event.kind === "started" && choice % this.nEach === 0) this.nPrompt += event.nPromptTokens;
    if (event.kind === "ended") this.nNew += event.nNewTokens;
  }

  get document(): object {
    const [prompt_tokens, completion_tokens] = [this.nPrompt, this.nNew];
    return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
  }
}

/** The error that a refused job is to its client. */
export function errorOf({ kind, message }: Refusal): ApiError {
  if (kind === "failed") return new ApiError(500, "server_error", message, { retry: false });
  const code = kind === "tooLong" ? "context_length_exceeded" : undefined;
  return new ApiError(400, "invalid_request_error", message, { code });
}
