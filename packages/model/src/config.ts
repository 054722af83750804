import { ConfigReader } from "./configReader.ts";
import { ModelError } from "./error.ts";
import { type BiasSwitch, type Family, type FamilyName, families, type GroupName } from "./families.ts";
import { parseRope, type Rope } from "./rope.ts";

/** Everything about a model that its forward pass needs. Sizes are counts of numbers, positions of tokens. */
export interface ModelConfig {
  readonly family: FamilyName;
  readonly nLayers: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly nHeads: number;
  /** Key/value heads; each serves nHeads / nKvHeads query heads. */
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  readonly rmsNormEps: number;
  readonly rope: Rope;
  /** The output head is the embedding. */
  readonly tied: boolean;
  readonly activation: "silu" | "geluTanh";
  /** Do the linears of the group have biases? */
  readonly biases: Readonly<Record<GroupName, boolean>>;
  /** RMS norm over each query and key head. */
  readonly qkNorm: boolean;
  /** Added to every norm weight. */
  readonly normOffset: 0 | 1;
  /** Embeddings are multiplied by this. */
  readonly embeddingScale: number;
  readonly maxPositions: number;
  /** A token sees itself and at most slidingWindow − 1 tokens before; null: all before. */
  readonly slidingWindow: number | null;
  /** Tokens that end an answer; may be empty. */
  readonly eosIds: readonly number[];
}

/** transformers' names of the activations we have. `gelu_new` is the same formula as `gelu_pytorch_tanh`. */
const activations: Readonly<Record<string, ModelConfig["activation"]>> = {
  silu: "silu",
  swish: "silu",
  gelu_pytorch_tanh: "geluTanh",
  gelu_new: "geluTanh",
};

/**
 * Read the content of config.json. Defaults of absent keys are those of transformers.
 * @throws ModelError (`unsupported`) with every problem at once.
 */
export function parseConfig(json: Record<string, unknown>): ModelConfig {
  const problems: string[] = [];
  const reader = new ConfigReader(json, problems);
  refuseQuantised(reader);
  const family = families.find((candidate) => candidate.name === reader.get("model_type"));
  if (!family) {
    const known = families.map(({ name }) => name).join(", ");
    problems.unshift(`Model type ${JSON.stringify(reader.get("model_type"))} is not supported; ${known} are.`);
    throw new ModelError("unsupported", problems);
  }
  const config = readConfig(reader, family);
  checkConsistency(config, problems);
  if (problems.length > 0) throw new ModelError("unsupported", problems);
  return config;
}

/** Ten times the deepest models there are: a damaged count must not become a list of a billion layers. */
const mostLayers = 2000;

function readConfig(reader: ConfigReader, family: Family): ModelConfig {
  checkArchitecture(reader, family);
  const hiddenSize = reader.count("hidden_size");
  const nHeads = reader.count("num_attention_heads");
  return {
    family: family.name,
    nLayers: reader.count("num_hidden_layers", undefined, mostLayers),
    hiddenSize,
    intermediateSize: reader.count("intermediate_size"),
    nHeads,
    nKvHeads: reader.count("num_key_value_heads", nHeads),
    headDim: reader.count("head_dim", hiddenSize / nHeads),
    vocabularySize: reader.count("vocab_size"),
    rmsNormEps: reader.positive("rms_norm_eps", family.missing.rmsNormEps),
    rope: parseRope(reader),
    tied: reader.flag("tie_word_embeddings", family.missing.tied),
    activation: readActivation(reader, family),
    biases: readBiases(reader, family),
    qkNorm: family.qkNorm,
    normOffset: family.normOffset,
    embeddingScale: family.scaledEmbedding ? Math.fround(Math.sqrt(hiddenSize)) : 1,
    maxPositions: reader.count("max_position_embeddings"),
    slidingWindow: readSlidingWindow(reader, family),
    eosIds: reader.tokenIds("eos_token_id"),
  };
}

function refuseQuantised(reader: ConfigReader): void {
  if (reader.get("quantization_config") !== undefined) {
    reader.problems.push(
      "The weights are quantised (quantization_config); give the model in F32, F16 or BF16 instead.",
    );
  }
}

function checkArchitecture(reader: ConfigReader, family: Family): void {
  const architectures = reader.get("architectures");
  if (architectures === undefined) return;
  if (Array.isArray(architectures) && architectures.length === 1 && architectures[0] === family.architecture) return;
  reader.problems.push(
    `Architecture ${JSON.stringify(architectures)} is not supported; ${family.architecture} is for ${family.name} models.`,
  );
}

function readActivation(reader: ConfigReader, family: Family): ModelConfig["activation"] {
  const name = reader.get(family.activation.key) ?? family.activation.missing;
  if (typeof name === "string" && Object.hasOwn(activations, name)) return activations[name];
  const known = Object.keys(activations).join(", ");
  reader.problems.push(`Activation ${JSON.stringify(name)} (${family.activation.key}) is not supported; ${known} are.`);
  return "silu";
}

function readBiases(reader: ConfigReader, family: Family): ModelConfig["biases"] {
  const read = (bias: BiasSwitch) => (typeof bias === "boolean" ? bias : reader.flag(bias, false));
  const { qkv, o, gateUp, down } = family.biases;
  return { qkv: read(qkv), o: read(o), gateUp: read(gateUp), down: read(down) };
}

function readSlidingWindow(reader: ConfigReader, { slidingWindow }: Family): number | null {
  if (slidingWindow === "none") return null;
  if (slidingWindow === "switched") {
    if (reader.flag("use_sliding_window", false)) {
      reader.problems.push("Attention that slides in some layers only (use_sliding_window) is not supported.");
    }
    return null;
  }
  // Absent means the class default; an explicit null means no window.
  if (reader.has("sliding_window"))
    return reader.get("sliding_window") === undefined ? null : reader.count("sliding_window");
  return slidingWindow.missing;
}

function checkConsistency(config: ModelConfig, problems: string[]): void {
  const { nHeads, nKvHeads, headDim } = config;
  if (nHeads % nKvHeads > 0) problems.push(`${nHeads} query heads cannot share ${nKvHeads} key/value heads evenly.`);
  if (headDim % 2 > 0) problems.push(`Rotary embedding needs an even head_dim, not ${headDim}.`);
  const { scaling } = config.rope;
  if (scaling.kind === "llama3" && scaling.highFreqFactor === scaling.lowFreqFactor) {
    problems.push("config.json: rope_scaling.high_freq_factor must differ from low_freq_factor.");
  }
}
