import { z } from "zod";
import { ApiError, badField } from "../errors.ts";
import type { Job } from "../job.ts";

/** Most of what one request may ask for. */
const most = { choices: 128, stops: 16, top: 20 } as const;

const count = (least: number, greatest: number) => z.int().min(least).max(greatest).nullish();

/** Fields that completions and chat completions share. Others are let by, as long as `refuseOthers` does not know them. */
export const sharedFields = {
  model: z.string(),
  max_tokens: count(0, 2 ** 31 - 1),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  /** Not OpenAI's, but other servers' too. */
  top_k: z.int().min(-1).nullish(),
  n: count(1, most.choices),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(most.stops)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
};

export const topCount = count(0, most.top);

type Shared = z.output<z.ZodObject<typeof sharedFields>>;

/** Values of fields that we do not have, with which they ask for nothing: anything else is refused. */
const idle: Readonly<Record<string, (value: unknown) => boolean>> = {
  presence_penalty: isZero,
  frequency_penalty: isZero,
  repetition_penalty: (value) => value === 1,
  min_p: isZero,
  min_tokens: isZero,
  logit_bias: isEmpty,
  suffix: isEmpty,
  tools: isEmpty,
  functions: isEmpty,
  tool_choice: (value) => value === "none" || value === "auto",
  function_call: (value) => value === "none" || value === "auto",
  response_format: (value) => (value as { type?: unknown }).type === "text",
  modalities: (value) => JSON.stringify(value) === '["text"]',
  audio: () => false,
  web_search_options: () => false,
  guided_json: () => false,
  guided_regex: () => false,
  guided_choice: () => false,
  add_generation_prompt: (value) => value === true,
  continue_final_message: (value) => value === false,
  ignore_eos: (value) => value === false,
  use_beam_search: (value) => value === false,
};

function isZero(value: unknown): boolean {
  return value === 0;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" || typeof value === "string" ? Object.keys(value as object).length === 0 : false;
}

/** Fields that would change the answer and that this server does not have. @throws ApiError naming the first */
function refuseOthers(body: Readonly<Record<string, unknown>>): void {
  const wrong = Object.keys(idle).find(
    (name) => body[name] !== undefined && body[name] !== null && !idle[name](body[name]),
  );
  if (wrong !== undefined)
    throw badField(wrong, `${wrong} is not supported by this server; leave it out.`, "unsupported_parameter");
}

/** The fields of a request. @throws ApiError naming the first that is wrong or not supported */
export function readFields<S extends z.ZodObject>(schema: S, body: unknown): z.output<S> {
  if (body === null || typeof body !== "object" || Array.isArray(body))
    throw new ApiError(400, "invalid_request_error", "The body must be a JSON object.");
  const result = schema.safeParse(body);
  if (!result.success) {
    const [{ path, message }] = result.error.issues;
    throw badField(path.join("."), `${path.join(".")}: ${message}`);
  }
  refuseOthers(body as Record<string, unknown>);
  return result.data;
}

/** What the shared fields say of every choice. Without `temperature` it is 1, without `seed` a new one, as OpenAI has it. */
export function drawing(fields: Shared): Pick<Job, "model" | "temperature" | "topP" | "topK" | "seed" | "stops"> {
  const { model, temperature, top_p, top_k, seed, stop } = fields;
  return {
    model,
    temperature: temperature ?? 1,
    topP: top_p ?? 1,
    topK: top_k && top_k > 0 ? top_k : undefined,
    seed: (seed ?? Math.floor(Math.random() * 2 ** 32)) | 0,
    stops: typeof stop === "string" ? [stop] : (stop ?? []),
  };
}
