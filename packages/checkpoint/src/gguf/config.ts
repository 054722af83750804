import { CheckpointError } from "../errors.ts";
import type { JsonObject } from "../json-file.ts";
import type { TensorInfo } from "../tensor.ts";
import type { Metadata } from "./metadata.ts";
import { ropeScaling } from "./rope-scaling.ts";

/** A model family by its GGUF name. */
export interface GgufFamily {
  readonly modelType: string;
  readonly architecture: string;
  /** llama.cpp reorders the rows of q and k of this family. */
  readonly permutesRotary: boolean;
}

/** GGUF calls Mistral and SmolLM2 `llama` too: they have the same tensors. */
const families: Readonly<Record<string, GgufFamily>> = {
  llama: { modelType: "llama", architecture: "LlamaForCausalLM", permutesRotary: true },
  qwen2: { modelType: "qwen2", architecture: "Qwen2ForCausalLM", permutesRotary: false },
  qwen3: { modelType: "qwen3", architecture: "Qwen3ForCausalLM", permutesRotary: false },
};

/** The family of a file. Throws `CheckpointError` ("unsupported") for others, for experts and for split files. */
export function familyOf(metadata: Metadata): GgufFamily {
  const name = metadata.string("general.architecture");
  const refuse = (what: string) =>
    new CheckpointError("unsupported", `${metadata.file}: ${what}; use the model's Hugging Face folder`, {
      file: metadata.file,
    });
  if (!Object.hasOwn(families, name))
    throw refuse(`the GGUF architecture ${name} is not read here, only ${Object.keys(families).join(", ")}`);
  if (metadata.numberOr(`${name}.expert_count`, 0) > 0) throw refuse("mixtures of experts are not read here");
  if (metadata.numberOr("split.count", 1) > 1) throw refuse("it is one part of a split GGUF");
  return families[name];
}

/** The shortest decimal that is the same f32: GGUF keeps 1e-5 as 9.999999747378752e-06. */
export function shortestF32(value: number): number {
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

/** Ids of the tokens that begin, end and pad a text, those that the file gives; a turn's end also ends generation. */
export function tokenIds(metadata: Metadata): Record<string, number> {
  const keys = { bos_token_id: "bos", eos_token_id: "eos", pad_token_id: "padding" };
  const present = Object.entries(keys).filter(([, key]) => metadata.has(`tokenizer.ggml.${key}_token_id`));
  return Object.fromEntries(present.map(([name, key]) => [name, metadata.number(`tokenizer.ggml.${key}_token_id`)]));
}

/** Ids as config.json has them, and every token that ends an answer. */
export function generationConfig(metadata: Metadata): JsonObject {
  const ids = tokenIds(metadata);
  const end = ids.eos_token_id;
  const turnEnd = metadata.numberOr("tokenizer.ggml.eot_token_id", end);
  if (turnEnd === end) return ids;
  return { ...ids, eos_token_id: end === undefined ? turnEnd : [end, turnEnd] };
}

/** Keys that change what the model computes, as our families never have them, and the value at which they do nothing. */
const neutral: Readonly<Record<string, number>> = {
  "rope.scale_linear": 1,
  embedding_scale: 1,
  residual_scale: 1,
  logit_scale: 1,
  "attention.scale": 0,
  "attention.clamp_kqv": 0,
  "attention.max_alibi_bias": 0,
  attn_logit_softcapping: 0,
  final_logit_softcapping: 0,
};

/** @throws CheckpointError "unsupported" for settings that would be ignored although they change the model */
function refuseUnread(metadata: Metadata, prefix: string, headDim: number, context: number): void {
  const settings = { ...neutral, "rope.dimension_count": headDim, "attention.value_length": headDim };
  const found = Object.entries(settings).filter(
    ([key, value]) => metadata.numberOr(`${prefix}.${key}`, value) !== value,
  );
  const window = metadata.numberOr(`${prefix}.attention.sliding_window`, context);
  const key = window > 0 && window < context ? "attention.sliding_window" : found[0]?.[0];
  if (key === undefined) return;
  const value = metadata.number(`${prefix}.${key}`);
  throw new CheckpointError(
    "unsupported",
    `${metadata.file}: ${prefix}.${key} = ${value} is not read here; use the model's Hugging Face folder`,
    { file: metadata.file },
  );
}

const torchNames: Readonly<Record<string, string>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** The element type of the matrices: the widest of them. */
function torchDtype(tensors: ReadonlyMap<string, TensorInfo>): string {
  const dtypes = [...tensors.values()].filter(({ shape }) => shape.length > 1).map(({ dtype }) => dtype);
  return torchNames[dtypes.find((dtype) => dtype === "F32") ?? dtypes[0] ?? "F32"];
}

/**
 * config.json as transformers would have it, out of the header.
 * @param tensors under Hugging Face names
 * @param ropeFactors values of `rope_freqs.weight`, when the file has it
 */
export function configOf(
  metadata: Metadata,
  family: GgufFamily,
  tensors: ReadonlyMap<string, TensorInfo>,
  ropeFactors?: Float32Array,
): JsonObject {
  const prefix = metadata.string("general.architecture");
  const number = (key: string) => metadata.number(`${prefix}.${key}`);
  const hidden = number("embedding_length");
  const heads = number("attention.head_count");
  const headDim = metadata.numberOr(`${prefix}.attention.key_length`, hidden / heads);
  refuseUnread(metadata, prefix, headDim, number("context_length"));
  const theta = shortestF32(metadata.numberOr(`${prefix}.rope.freq_base`, 10000));
  return {
    architectures: [family.architecture],
    model_type: family.modelType,
    hidden_size: hidden,
    intermediate_size: number("feed_forward_length"),
    num_hidden_layers: number("block_count"),
    num_attention_heads: heads,
    num_key_value_heads: metadata.numberOr(`${prefix}.attention.head_count_kv`, heads),
    ...(headDim === hidden / heads && family.modelType !== "qwen3" ? {} : { head_dim: headDim }),
    vocab_size: metadata.numberOr(`${prefix}.vocab_size`, tensors.get("model.embed_tokens.weight")?.shape[0]),
    max_position_embeddings: number("context_length"),
    rms_norm_eps: shortestF32(number("attention.layer_norm_rms_epsilon")),
    rope_theta: theta,
    ...ropeScaling(metadata, prefix, headDim, theta, ropeFactors),
    tie_word_embeddings: !tensors.has("lm_head.weight"),
    hidden_act: "silu",
    attention_bias: tensors.has("model.layers.0.self_attn.q_proj.bias"),
    torch_dtype: torchDtype(tensors),
    ...tokenIds(metadata),
  };
}
