import { TokenizerError } from "./errors.ts";
import { isObject, type JsonObject } from "./files.ts";

const tokenNames = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

/** Special tokens by their name in tokenizer_config.json, as their text. */
export type SpecialTokens = { readonly [name in (typeof tokenNames)[number]]?: string };

/**
 * The named special tokens. As in transformers, special_tokens_map.json is an older form: it wins unless
 * tokenizer_config.json holds `added_tokens_decoder`, and is not read then.
 */
export function readSpecialTokens(config: JsonObject, map: JsonObject): SpecialTokens {
  const merged = "added_tokens_decoder" in config ? config : { ...config, ...map };
  const tokens: { [name in (typeof tokenNames)[number]]?: string } = {};
  for (const name of tokenNames) tokens[name] = tokenText(name, merged[name]);
  return tokens;
}

/** A special token is a string, or an object (a serialised AddedToken) with the string as `content`. */
function tokenText(name: string, value: unknown): string | undefined {
  const text = isObject(value) ? value.content : value;
  if (text === undefined || text === null) return undefined;
  if (typeof text === "string") return text;
  throw new TokenizerError(`${name} in tokenizer_config.json must be a string or an object with "content".`);
}
