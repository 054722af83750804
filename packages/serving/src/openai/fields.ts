import { z } from "zod";
import { ApiError, badField } from "../errors.ts";
import type { Job } from "../job.ts";
import type { ApiRequest, Format } from "./api.ts";
import { type Idle, idleFields, refuseOthers } from "./idle.ts";

/** Most of what one request may ask for. */
const most = { choices: 128, stops: 16, top: 20 } as const;

const count = (least: number, greatest: number) => z.int().min(least).max(greatest).nullish();

/** Fields that completions and chat completions share. Others are let by, as long as `idleFields` does not know them. */
export const sharedFields = {
  model: z.string(),
  max_tokens: count(0, 2 ** 31 - 1),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  /** Not OpenAI's, but other servers' too. */
  top_k: z.int().min(-1).nullish(),
  n: count(1, most.choices),
  // Of 64 bits, as OpenAI takes it: more than the numbers of JSON tell apart.
  seed: z
    .number()
    .multipleOf(1)
    .min(-(2 ** 63))
    .max(2 ** 63)
    .nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(most.stops)]).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
};

export const topCount = count(0, most.top);

type Shared = z.output<z.ZodObject<typeof sharedFields>>;

/**
 * The fields of a request.
 * @param idle of fields besides `idleFields` that this kind of request does not have
 * @throws ApiError naming the first that is wrong or not supported
 */
export function readFields<S extends z.ZodObject>(schema: S, body: unknown, idle: Idle): z.output<S> {
  if (body === null || typeof body !== "object" || Array.isArray(body))
    throw new ApiError(400, "invalid_request_error", "The body must be a JSON object.");
  const result = schema.safeParse(body);
  if (!result.success) {
    const [{ path, message }] = result.error.issues;
    throw badField(path.join("."), `${path.join(".")}: ${message}`);
  }
  refuseOthers(body as Record<string, unknown>, { ...idleFields, ...idle });
  return result.data;
}

/** What the shared fields say of every choice. Without `temperature` it is 1, without `seed` a new one, as OpenAI has it. */
export function drawing(fields: Shared): Pick<Job, "model" | "temperature" | "topP" | "topK" | "seed" | "stops"> {
  const { model, temperature, top_p, top_k, seed, stop } = fields;
  return {
    model,
    temperature: temperature ?? 1,
    topP: top_p || 1,
    // The fewest tokens that sum to nothing: OpenAI takes the likeliest.
    topK: top_p === 0 ? 1 : top_k && top_k > 0 ? top_k : undefined,
    seed: seedOf(seed ?? Math.floor(Math.random() * 2 ** 32)),
    stops: typeof stop === "string" ? [stop] : (stop ?? []),
  };
}

/** Our seeds have 32 bits: both halves of a longer one count. */
function seedOf(seed: number): number {
  return (seed | 0) ^ Math.trunc(seed / 2 ** 32);
}

/** A request for these jobs. */
export function requestOf(fields: Shared, jobs: readonly Job[], format: Format): ApiRequest {
  const { model, n, stream, stream_options } = fields;
  const streamUsage = stream_options?.include_usage ?? false;
  return { jobs, nEach: n ?? 1, model, stream: stream ?? false, streamUsage, format };
}
