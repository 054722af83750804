import { badField } from "../errors.ts";

/** For fields that we do not have: whether a value asks for nothing. */
export type Idle = Readonly<Record<string, (value: unknown) => boolean>>;

/** Of OpenAI's, vLLM's, llama.cpp's and transformers' fields those that change the answer. */
export const idleFields: Idle = {
  presence_penalty: is(0),
  frequency_penalty: is(0),
  repetition_penalty: is(1),
  length_penalty: is(1),
  no_repeat_ngram_size: is(0),
  min_p: is(0),
  typical_p: is(1),
  dry_multiplier: is(0),
  xtc_probability: is(0),
  mirostat: is(0),
  min_tokens: is(0),
  logit_bias: isEmpty,
  bad_words: isEmpty,
  allowed_token_ids: isEmpty,
  logits_processors: isEmpty,
  stop_token_ids: isEmpty,
  ignore_eos: is(false),
  include_stop_str_in_output: is(false),
  skip_special_tokens: is(true),
  use_beam_search: is(false),
  truncate_prompt_tokens: never,
  prompt_logprobs: never,
  suffix: isEmpty,
  tools: isEmpty,
  functions: isEmpty,
  tool_choice: is("none", "auto"),
  function_call: is("none", "auto"),
  response_format: (value) => (value as { type?: unknown }).type === "text",
  structured_outputs: isEmpty,
  grammar: isEmpty,
  json_schema: isEmpty,
  modalities: (value) => JSON.stringify(value) === '["text"]',
  audio: never,
  web_search_options: never,
  reasoning_effort: is("none"),
  chat_template: never,
  chat_template_kwargs: isEmpty,
  documents: isEmpty,
  add_generation_prompt: is(true),
  continue_final_message: is(false),
};

/** Of a message those that carry content. */
export const idleMessageFields: Idle = {
  tool_calls: isEmpty,
  function_call: never,
  tool_call_id: never,
  refusal: isEmpty,
  audio: never,
  reasoning: isEmpty,
  reasoning_content: isEmpty,
  prefix: is(false),
};

export function is(...values: readonly unknown[]): (value: unknown) => boolean {
  return (value) => values.includes(value);
}

export function never(): boolean {
  return false;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" || typeof value === "string" ? Object.keys(value as object).length === 0 : false;
}

/**
 * Refuse fields that would change the answer and that this server does not have, every `guided_…` among them.
 * @param path before the names, in the error
 * @throws ApiError naming the first
 */
export function refuseOthers(given: Readonly<Record<string, unknown>>, idle: Idle, path = ""): void {
  const asks = ([name, value]: [string, unknown]) =>
    name.startsWith("guided_") || (Object.hasOwn(idle, name) && !idle[name](value));
  const wrong = Object.entries(given).find((field) => field[1] !== undefined && field[1] !== null && asks(field));
  if (wrong === undefined) return;
  const name = path + wrong[0];
  throw badField(name, `${name} is not supported by this server; leave it out.`, "unsupported_parameter");
}
