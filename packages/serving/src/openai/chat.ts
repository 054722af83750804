import type { Message } from "@safedelta/tokenizer";
import { z } from "zod";
import { badField } from "../errors.ts";
import type { Job, ScoredText, TextScore } from "../job.ts";
import type { ApiRequest, Format } from "./api.ts";
import { drawing, readFields, requestOf, sharedFields, topCount } from "./fields.ts";
import { idleMessageFields, is, refuseOthers } from "./idle.ts";

const part = z.looseObject({
  type: z.literal("text", { error: "only parts of type text are supported" }),
  text: z.string(),
});

const message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant"]),
  content: z.union([z.string(), z.array(part)]),
});

const schema = z.looseObject({
  ...sharedFields,
  messages: z.array(message).min(1),
  max_completion_tokens: sharedFields.max_tokens,
  logprobs: z.boolean().nullish(),
  top_logprobs: topCount,
});

/** Fields that completions have and chat has not. */
const idle = { best_of: is(1), echo: is(false), add_special_tokens: is(false) };

/** A request of /v1/chat/completions. @throws ApiError */
export function chatRequest(body: unknown): ApiRequest {
  const fields = readFields(schema, body, idle);
  const { logprobs, top_logprobs } = fields;
  if (top_logprobs !== undefined && top_logprobs !== null && !logprobs)
    throw badField("top_logprobs", "top_logprobs needs logprobs to be true.");
  fields.messages.forEach((one, i) => {
    refuseOthers(one, idleMessageFields, `messages.${i}.`);
  });
  const one = {
    ...drawing(fields),
    input: { kind: "chat", messages: fields.messages.map(messageOf) } as const,
    maxNewTokens: limitOf(fields),
    nTop: logprobs ? (top_logprobs ?? 0) : undefined,
    echo: false,
    scoreStop: false,
  };
  const jobs = Array.from({ length: fields.n ?? 1 }, (_, i): Job => ({ ...one, stream: i }));
  return requestOf(fields, jobs, formatOf(logprobs ?? false));
}

/** A developer's words are what templates call the system's. */
function messageOf({ role, content }: z.output<typeof message>): Message {
  const text = typeof content === "string" ? content : content.map((one) => one.text).join("");
  return { role: role === "developer" ? "system" : role, content: text };
}

/** `max_tokens` is the older name. */
function limitOf({ max_tokens, max_completion_tokens }: z.output<typeof schema>): number | undefined {
  const given = [max_completion_tokens, max_tokens].filter((value) => value !== undefined && value !== null);
  if (given.length === 2 && given[0] !== given[1])
    throw badField("max_tokens", "max_tokens and max_completion_tokens contradict each other; give one.");
  if (given[0] === 0) throw badField("max_tokens", "max_tokens must be at least 1.");
  return given[0];
}

function formatOf(scored: boolean): Format {
  const scores = (tokens: readonly ScoredText[]) => (scored ? { content: tokens.map(scoreOf), refusal: null } : null);
  return {
    object: "chat.completion",
    chunkObject: "chat.completion.chunk",
    idPrefix: "chatcmpl-",
    choice: (index, { text, tokens, finish }) => ({
      index,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: scores(tokens),
      finish_reason: finish,
    }),
    first: (index) => ({ index, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }),
    chunk: (index, text, tokens) => ({
      index,
      delta: { content: text },
      logprobs: scores(tokens),
      finish_reason: null,
    }),
    last: (index, finish) => ({ index, delta: {}, logprobs: null, finish_reason: finish }),
  };
}

function scoreOf({ top, ...own }: ScoredText): object {
  return { ...withBytes(own), top_logprobs: top.map(withBytes) };
}

const utf8 = new TextEncoder();

/** A part of a character has no text, so its bytes are not known here. */
function withBytes({ text, logprob }: TextScore): object {
  return { token: text, logprob, bytes: text.includes("\uFFFD") ? null : [...utf8.encode(text)] };
}
