import type { ModelConfig } from "./config.ts";

/** Every token that ends an answer: those that the tokenizer's files name (generation_config.json among them) and those of config.json. */
export function stopIdsOf(tokenizer: { readonly eosIds: readonly number[] }, config: ModelConfig): number[] {
  return [...new Set([...tokenizer.eosIds, ...config.eosIds])];
}
