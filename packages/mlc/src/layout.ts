import {
  atLayer,
  biasName,
  type FamilyName,
  groupsOfLayer,
  type LayerGroup,
  type ModelConfig,
  tensorNames,
} from "@safedelta/model";
import { MlcError } from "./errors.ts";

/** A tensor as MLC names it, before it is quantised: tensors of the model's files, stacked by rows. */
export interface MlcTensor {
  /** Without `.weight` or `.bias`. */
  readonly module: string;
  readonly kind: "weight" | "bias";
  /** [rows, cols] of a matrix, [n] of a norm or bias. */
  readonly shape: readonly number[];
  /** Names in the model's files, top to bottom. */
  readonly sources: readonly string[];
  /** Added to every number (Gemma's norms). */
  readonly plus: 0 | 1;
}

/** What MLC calls the stacked q, k and v projections (mlc-llm model/<family>/<family>_model.py). */
const attentionName: Partial<Record<FamilyName, string>> = {
  llama: "qkv_proj",
  mistral: "qkv_proj",
  qwen2: "c_attn",
  qwen3: "c_attn",
  gemma: "qkv_proj",
};

/**
 * The tensors of a model as MLC's model definitions have them, in forward order. Rows keep Hugging Face's order.
 * @throws MlcError with everything of the model that MLC's definition of its family lacks
 */
export function layoutOf(config: ModelConfig): MlcTensor[] {
  const fused = attentionName[config.family];
  const problems = fused === undefined ? [`${config.family} models are not exported.`] : problemsOf(config);
  if (fused === undefined || problems.length > 0) throw new MlcError(problems);
  const table = [config.vocabularySize, config.hiddenSize];
  const tensors = [tensor("model.embed_tokens", table, [tensorNames.embedding])];
  for (let layer = 0; layer < config.nLayers; layer++) tensors.push(...layerLayout(config, layer, fused));
  tensors.push(norm(config, "model.norm", config.hiddenSize, tensorNames.finalNorm));
  if (!config.tied) tensors.push(tensor("lm_head", table, [tensorNames.head]));
  return tensors;
}

function tensor(module: string, shape: readonly number[], sources: readonly string[]): MlcTensor {
  return { module, kind: "weight", shape, sources, plus: 0 };
}

function norm({ normOffset }: ModelConfig, module: string, size: number, source: string): MlcTensor {
  return { ...tensor(module, [size], [source]), plus: normOffset };
}

function layerLayout(config: ModelConfig, layer: number, fused: string): MlcTensor[] {
  const [qkv, o, gateUp, down] = groupsOfLayer(config, layer);
  const place = `model.layers.${layer}`;
  const normOf = (module: string, size: number, template: string) =>
    norm(config, `${place}.${module}`, size, atLayer(template, layer));
  const heads = [
    normOf("self_attn.q_norm", config.headDim, tensorNames.qNorm),
    normOf("self_attn.k_norm", config.headDim, tensorNames.kNorm),
  ];
  return [
    ...linear(config, qkv, `${place}.self_attn.${fused}`),
    ...linear(config, o, `${place}.self_attn.o_proj`),
    ...(config.qkNorm ? heads : []),
    ...linear(config, gateUp, `${place}.mlp.gate_up_proj`),
    ...linear(config, down, `${place}.mlp.down_proj`),
    normOf("input_layernorm", config.hiddenSize, tensorNames.inputNorm),
    normOf("post_attention_layernorm", config.hiddenSize, tensorNames.mlpNorm),
  ];
}

/** A group's linears as one. */
function linear(config: ModelConfig, { name, linears, cols }: LayerGroup, module: string): MlcTensor[] {
  const rows = linears.reduce((sum, part) => sum + part.rows, 0);
  const sources = linears.map((part) => part.name);
  const weight = tensor(module, [rows, cols], sources);
  if (!config.biases[name]) return [weight];
  return [weight, { ...weight, kind: "bias", shape: [rows], sources: sources.map(biasName) }];
}

/** Where MLC has a bias: always, never, or as config.json says. */
const biasesOf: Partial<Record<FamilyName, readonly (keyof ModelConfig["biases"])[]>> = {
  qwen2: ["qkv"],
  qwen3: ["qkv", "o"],
};

function problemsOf(config: ModelConfig): string[] {
  const { family, rope, activation, tied, hiddenSize, nHeads, headDim } = config;
  const lacks: (readonly [boolean, string])[] = [
    [rope.scaling.kind === "linear", "linear rope scaling"],
    [rope.scaling.kind === "llama3" && family !== "llama", "rope scaling in this family"],
    [family !== "gemma" && activation !== "silu", "another activation than silu in this family"],
    [family === "gemma" && activation === "silu", "silu in this family"],
    [family === "mistral" && tied, "a tied head in this family"],
    [family === "gemma" && !tied, "an untied head in this family"],
    [family === "qwen2" && headDim * nHeads !== hiddenSize, "a head_dim other than hidden_size / heads in this family"],
    ...Object.entries(config.biases).map(
      ([group, there]) => [there && !biasesOf[family]?.some((name) => name === group), `a bias on ${group}`] as const,
    ),
  ];
  return lacks.filter(([found]) => found).map(([, what]) => `MLC's ${family} has no room for ${what}.`);
}
