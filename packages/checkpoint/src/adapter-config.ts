import { CheckpointError } from "./errors.ts";
import { isJsonObject, type JsonObject } from "./json-file.ts";

/** The parts of adapter_config.json that decide what a merge computes. */
export interface LoraConfig {
  readonly fanInFanOut: boolean;
  readonly useDora: boolean;
  /** Layers the adapter says it changes, or undefined for all. */
  readonly layers?: readonly number[];
  /** Rank and factor on B·A of one module, by its dotted name in the base model. */
  scaling(moduleName: string): { rank: number; scale: number };
}

/** Ways to initialise that leave the base weights as they are, so that W + scale·BA is the trained model. */
const mergeableInits: readonly unknown[] = [undefined, null, true, false, "gaussian", "orthogonal", "eva"];

/** Why an adapter with one of these settings cannot be merged here. */
const unsupportedSettings: Readonly<Record<string, string>> = {
  layer_replication: "it repeats layers of the base",
  megatron_config: "it was made for Megatron's parallel layers",
  target_parameters: "it changes parameters that are not linear layers",
  use_qalora: "it was trained on pooled inputs (QA-LoRA)",
  alora_invocation_tokens: "it acts only after certain tokens (activated LoRA) and has no merged form",
  lora_bias: "it adds biases to B",
};

const isSet = (value: unknown) => value !== undefined && value !== null && value !== false;

function refuseUnmergeable(config: JsonObject, file: string): void {
  const refuse = (reason: string) =>
    new CheckpointError("unsupported", `${file}: cannot merge this adapter: ${reason}`, { file });
  if (config.peft_type !== "LORA") throw refuse(`its peft_type is ${config.peft_type}; only LORA is read here`);
  if (!mergeableInits.includes(config.init_lora_weights))
    throw refuse(
      `it was initialised by ${JSON.stringify(config.init_lora_weights)}, which changes the base weights too, so that merging into ` +
        "the original base is wrong; convert it with PEFT (save_pretrained with path_initial_model_for_weight_conversion) or use the merged model",
    );
  for (const [key, reason] of Object.entries(unsupportedSettings))
    if (isSet(config[key])) throw refuse(`${reason} (${key})`);
}

type Patterns = readonly (readonly [RegExp, number])[];

/** rank_pattern or alpha_pattern: PEFT matches `(.*\.)?(key)$` from the start of the module name. */
function readPatterns(value: unknown, key: string, file: string): Patterns {
  if (value === undefined || value === null) return [];
  const bad = (cause?: unknown) =>
    new CheckpointError("format", `${file}: ${key} must map name patterns to numbers above 0`, { file, cause });
  if (!isJsonObject(value)) throw bad();
  return Object.entries(value).map(([pattern, number]) => {
    if (typeof number !== "number" || !(number > 0)) throw bad();
    try {
      return [new RegExp(`^(.*\\.)?(${pattern})$`), number] as const;
    } catch (cause) {
      throw bad(cause);
    }
  });
}

function readNumber(config: JsonObject, key: string, file: string): number {
  const value = config[key];
  if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value;
  throw new CheckpointError("format", `${file}: ${key} must be a number above 0, not ${JSON.stringify(value)}`, {
    file,
  });
}

function readLayers(value: unknown, file: string): readonly number[] | undefined {
  if (value === undefined || value === null) return undefined;
  const layers = Array.isArray(value) ? value : [value];
  if (layers.every((layer) => Number.isInteger(layer))) return layers;
  throw new CheckpointError("format", `${file}: layers_to_transform must hold layer numbers`, { file });
}

/**
 * Reads a PEFT LoRA configuration. scale = alpha/r, or alpha/√r with use_rslora (arXiv 2312.03732).
 * @throws CheckpointError "unsupported" (with the reason) for adapters that have no exact merge into their base, "format"
 */
export function parseLoraConfig(config: JsonObject, file: string): LoraConfig {
  refuseUnmergeable(config, file);
  const r = readNumber(config, "r", file);
  const alpha = readNumber(config, "lora_alpha", file);
  const ranks = readPatterns(config.rank_pattern, "rank_pattern", file);
  const alphas = readPatterns(config.alpha_pattern, "alpha_pattern", file);
  const pick = (patterns: Patterns, name: string) => patterns.find(([pattern]) => pattern.test(name))?.[1];
  return {
    fanInFanOut: config.fan_in_fan_out === true,
    useDora: config.use_dora === true,
    layers: readLayers(config.layers_to_transform, file),
    scaling(moduleName) {
      const rank = pick(ranks, moduleName) ?? r;
      const numerator = pick(alphas, moduleName) ?? alpha;
      return { rank, scale: numerator / (config.use_rslora === true ? Math.sqrt(rank) : rank) };
    },
  };
}
