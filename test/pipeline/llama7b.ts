import { expectedTensors, parseConfig } from "@safedelta/model";

/** Llama-2-7B's config.json, as far as it decides sizes. */
export const llama7b = parseConfig({
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  vocab_size: 32000,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  hidden_act: "silu",
  tie_word_embeddings: false,
});

/** Its tensors. */
export const llama7bTensors = new Map(
  [...expectedTensors(llama7b)]
    .filter(([, { optional }]) => !optional)
    .map(([name, { shape }]) => [name, { name, shape, dtype: "F16" as const }]),
);
