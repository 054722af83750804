/** The Llama family as data: tensor names with a `{layer}` placeholder and the switches in which its members differ. */

/** Linears that share one input share one Hessian: they form a group. */
export type GroupName = "qkv" | "o" | "gateUp" | "down";

/** What a linear, or a run of rows of a fused one, computes. */
export type Part = "q" | "k" | "v" | "o" | "gate" | "up" | "down";

/** One weight matrix: tensors `<module>.weight` and perhaps `<module>.bias`; its rows are these parts, top to bottom. */
export interface LinearTemplate {
  readonly module: string;
  readonly parts: readonly Part[];
}

/** Is there a bias: always, never, or as the named key of config.json says. */
export type BiasSwitch = boolean | "attention_bias" | "mlp_bias";

export type FamilyName = "llama" | "mistral" | "qwen2" | "qwen3" | "gemma" | "phi3";

export interface Family {
  /** Also the `model_type` of config.json. */
  readonly name: FamilyName;
  /** The only accepted entry of `architectures`. */
  readonly architecture: string;
  readonly linears: Readonly<Record<GroupName, readonly LinearTemplate[]>>;
  readonly biases: Readonly<Record<GroupName, BiasSwitch>>;
  /** RMS norm over each query and key head, before the rotation. */
  readonly qkNorm: boolean;
  /** Added to every norm weight (Gemma stores weight − 1). */
  readonly normOffset: 0 | 1;
  /** Embeddings are multiplied by √hidden_size. */
  readonly scaledEmbedding: boolean;
  /** Key of config.json that names the activation, and the name when it is absent or null. */
  readonly activation: { readonly key: string; readonly missing: string };
  /** `sliding_window`: not read, read with this value when absent, or refused when `use_sliding_window` asks for it. */
  readonly slidingWindow: "none" | "switched" | { readonly missing: number | null };
  /** What transformers takes when config.json has no such key. */
  readonly missing: { readonly tied: boolean; readonly rmsNormEps: number };
}

/** The groups of a layer in the order in which the forward pass reaches them. */
export const groupNames: readonly GroupName[] = ["qkv", "o", "gateUp", "down"];

/** Tensor names that all families share; qNorm and kNorm exist only with `qkNorm`. */
export const tensorNames = {
  embedding: "model.embed_tokens.weight",
  finalNorm: "model.norm.weight",
  head: "lm_head.weight",
  inputNorm: "model.layers.{layer}.input_layernorm.weight",
  mlpNorm: "model.layers.{layer}.post_attention_layernorm.weight",
  qNorm: "model.layers.{layer}.self_attn.q_norm.weight",
  kNorm: "model.layers.{layer}.self_attn.k_norm.weight",
} as const;

const attention = (name: string, ...parts: Part[]): LinearTemplate => ({
  module: `model.layers.{layer}.self_attn.${name}`,
  parts,
});
const mlp = (name: string, ...parts: Part[]): LinearTemplate => ({ module: `model.layers.{layer}.mlp.${name}`, parts });

const separate: Family["linears"] = {
  qkv: [attention("q_proj", "q"), attention("k_proj", "k"), attention("v_proj", "v")],
  o: [attention("o_proj", "o")],
  gateUp: [mlp("gate_proj", "gate"), mlp("up_proj", "up")],
  down: [mlp("down_proj", "down")],
};

const fused: Family["linears"] = {
  ...separate,
  qkv: [attention("qkv_proj", "q", "k", "v")],
  gateUp: [mlp("gate_up_proj", "gate", "up")],
};

const noBias: Family["biases"] = { qkv: false, o: false, gateUp: false, down: false };
const attentionBias: Family["biases"] = { ...noBias, qkv: "attention_bias", o: "attention_bias" };

const llama: Family = {
  name: "llama",
  architecture: "LlamaForCausalLM",
  linears: separate,
  biases: { ...attentionBias, gateUp: "mlp_bias", down: "mlp_bias" },
  qkNorm: false,
  normOffset: 0,
  scaledEmbedding: false,
  activation: { key: "hidden_act", missing: "silu" },
  slidingWindow: "none",
  missing: { tied: false, rmsNormEps: 1e-6 },
};

/** Source: the configuration_*.py and modeling_*.py files of Hugging Face transformers 4.46 (Qwen3: 4.51). */
export const families: readonly Family[] = [
  llama,
  {
    ...llama,
    name: "mistral",
    architecture: "MistralForCausalLM",
    biases: noBias,
    slidingWindow: { missing: 4096 },
  },
  {
    ...llama,
    name: "qwen2",
    architecture: "Qwen2ForCausalLM",
    biases: { ...noBias, qkv: true },
    slidingWindow: "switched",
  },
  {
    ...llama,
    name: "qwen3",
    architecture: "Qwen3ForCausalLM",
    biases: attentionBias,
    qkNorm: true,
    slidingWindow: "switched",
  },
  {
    ...llama,
    name: "gemma",
    architecture: "GemmaForCausalLM",
    biases: attentionBias,
    normOffset: 1,
    scaledEmbedding: true,
    activation: { key: "hidden_activation", missing: "gelu_pytorch_tanh" },
    missing: { tied: true, rmsNormEps: 1e-6 },
  },
  {
    ...llama,
    name: "phi3",
    architecture: "Phi3ForCausalLM",
    linears: fused,
    biases: noBias,
    slidingWindow: { missing: null },
    missing: { tied: false, rmsNormEps: 1e-5 },
  },
];

/** The family of that name. */
export function familyOf(name: FamilyName): Family {
  const family = families.find((candidate) => candidate.name === name);
  if (!family) throw new RangeError(`no family "${name}"`);
  return family;
}

/** A name template with `{layer}` filled in. */
export function atLayer(template: string, layer: number): string {
  return template.replace("{layer}", String(layer));
}
