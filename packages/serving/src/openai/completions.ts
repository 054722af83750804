import { z } from "zod";
import { badField } from "../errors.ts";
import type { Input, Job, ScoredText } from "../job.ts";
import type { ApiRequest, Format } from "./api.ts";
import { drawing, readFields, requestOf, sharedFields, topCount } from "./fields.ts";
import { is } from "./idle.ts";

const ids = z.array(z.int().min(0));

const schema = z.looseObject({
  ...sharedFields,
  prompt: z.union([z.string(), ids, z.array(z.string()), z.array(ids)]),
  logprobs: topCount,
  echo: z.boolean().nullish(),
  best_of: z.int().nullish(),
});

/** What OpenAI takes for `max_tokens` where it is not given. */
const nDefaultTokens = 16;

/** A request of /v1/completions. @throws ApiError */
export function completionRequest(body: unknown): ApiRequest {
  const fields = readFields(schema, body, { add_special_tokens: is(true) });
  const { prompt, logprobs, echo, best_of } = fields;
  const n = fields.n ?? 1;
  if (best_of !== undefined && best_of !== null && best_of !== n)
    throw badField("best_of", "best_of other than n is not supported by this server.", "unsupported_parameter");
  const inputs = inputsOf(prompt);
  if (inputs.length === 0) throw badField("prompt", "prompt is an empty list.");
  const one = {
    ...drawing(fields),
    maxNewTokens: fields.max_tokens ?? undefined,
    nDefaultTokens,
    nTop: logprobs ?? undefined,
    echo: echo ?? false,
    scoreStop: true,
  };
  const jobs = inputs.flatMap((input) => Array.from({ length: n }, (_, i): Job => ({ ...one, input, stream: i })));
  return requestOf(fields, jobs, formatOf(one.nTop !== undefined));
}

function inputsOf(prompt: z.output<typeof schema>["prompt"]): Input[] {
  if (typeof prompt === "string") return [{ kind: "text", text: prompt }];
  if (isIds(prompt)) return [{ kind: "ids", ids: prompt }];
  return prompt.map((one) => (typeof one === "string" ? { kind: "text", text: one } : { kind: "ids", ids: one }));
}

function isIds(prompt: readonly unknown[]): prompt is number[] {
  return typeof prompt[0] === "number";
}

function formatOf(scored: boolean): Format {
  const scores = (tokens: readonly ScoredText[]) => (scored ? legacyScores(tokens) : null);
  return {
    object: "text_completion",
    chunkObject: "text_completion",
    idPrefix: "cmpl-",
    choice: (index, { text, tokens, finish }) => ({ index, text, logprobs: scores(tokens), finish_reason: finish }),
    chunk: (index, text, tokens) => ({ index, text, logprobs: scores(tokens), finish_reason: null }),
    last: (index, finish) => ({ index, text: "", logprobs: null, finish_reason: finish }),
  };
}

/** `logprobs` of completions: lists side by side. */
function legacyScores(tokens: readonly ScoredText[]): object {
  return {
    tokens: tokens.map(({ text }) => text),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(topOf),
    text_offset: tokens.map(({ offset }) => offset),
  };
}

/** The likeliest tokens by text, and the token itself; of two with the same text the likelier. */
function topOf({ text, logprob, top }: ScoredText): Record<string, number> | null {
  if (logprob === null) return null;
  const found = new Map<string, number>();
  for (const one of [...top, { text, logprob }])
    if (!found.has(one.text) && one.logprob !== null) found.set(one.text, one.logprob);
  return Object.fromEntries(found);
}
