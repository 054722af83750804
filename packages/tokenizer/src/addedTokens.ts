import type { Tokenizer as Library } from "@huggingface/tokenizers";
import { isObject, type JsonObject } from "./files.ts";
import type { SpecialTokens } from "./specialTokens.ts";

/**
 * Tokens that transformers recognises whole although tokenizer.json does not list them as added: those of
 * `added_tokens_decoder` and the special tokens of tokenizer_config.json, where the vocabulary has them.
 */
export function missingAddedTokens(library: Library, config: JsonObject, special: SpecialTokens): JsonObject[] {
  const listed = library.get_added_tokens_decoder();
  const decoder = isObject(config.added_tokens_decoder) ? Object.entries(config.added_tokens_decoder) : [];
  const declared = decoder.flatMap(([id, token]) => (isObject(token) ? [{ ...token, id: Number(id) }] : []));
  const named = [...new Set([...Object.values(special), ...additional(config)])].flatMap((content) => {
    const id = content === undefined ? undefined : library.token_to_id(content);
    return id === undefined ? [] : [{ content, id, special: true }];
  });
  const missing = [...named, ...declared].filter(({ id }) => !listed.has(id));
  return [...new Map(missing.map((token) => [token.id, token])).values()];
}

function additional({ additional_special_tokens: tokens }: JsonObject): string[] {
  if (!Array.isArray(tokens)) return [];
  return tokens.map((token) => (isObject(token) ? token.content : token)).filter((text) => typeof text === "string");
}
