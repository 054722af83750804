import { CheckpointError } from "../errors.ts";

/** Hugging Face names of a block's parts. */
const blockParts: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

const otherNames: Readonly<Record<string, string>> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

/** The factors of Llama 3's rotary scaling; a part of config.json in Hugging Face folders. */
export const ropeFactorsName = "rope_freqs.weight";

const blockName = /^blk\.(?<layer>\d+)\.(?<part>[a-z_]+)\.(?<kind>weight|bias)$/;

/** The Hugging Face name of a GGUF tensor (gguf-py `tensor_mapping`). Throws `CheckpointError` ("unsupported"). */
export function huggingFaceName(name: string, file: string): string {
  if (Object.hasOwn(otherNames, name)) return otherNames[name];
  const groups = blockName.exec(name)?.groups;
  if (groups && Object.hasOwn(blockParts, groups.part))
    return `model.layers.${Number(groups.layer)}.${blockParts[groups.part]}.${groups.kind}`;
  throw new CheckpointError("unsupported", `${file}: tensor ${name} is not of a model family that is read here`, {
    file,
    tensor: name,
  });
}
