import type { ModelConfig } from "@safedelta/model";
import { windowOf } from "./chatConfig.ts";
import type { QuantName } from "./quantisation.ts";
import { libraryUrl } from "./versions.ts";

/** Sizes and constants that are compiled into a library. */
type Shape = readonly [
  family: ModelConfig["family"],
  nLayers: number,
  hiddenSize: number,
  intermediateSize: number,
  nHeads: number,
  nKvHeads: number,
  headDim: number,
  vocabularySize: number,
  ropeTheta: number,
  rmsNormEps: number,
  tied: boolean,
  /** Factor of Llama 3's rope scaling. */
  ropeFactor?: number,
];

const packed: readonly QuantName[] = ["q4f32_1", "q4f16_1"];
const plain: readonly QuantName[] = ["q0f32", "q0f16"];
const all = [...plain, ...packed];

/**
 * The libraries that web-llm's own list names (`prebuiltAppConfig`, config.ts of the pinned version), as far as the families here go, with
 * the numbers of the models' config.json files.
 */
const libraries: readonly (readonly [model: string, quants: readonly QuantName[], shape: Shape])[] = [
  ["SmolLM2-135M-Instruct", plain, ["llama", 30, 576, 1536, 9, 3, 64, 49152, 1e5, 1e-5, true]],
  ["SmolLM2-360M-Instruct", all, ["llama", 32, 960, 2560, 15, 5, 64, 49152, 1e5, 1e-5, true]],
  ["SmolLM2-1.7B-Instruct", packed, ["llama", 24, 2048, 8192, 32, 32, 64, 49152, 1.3e5, 1e-5, true]],
  ["Llama-3.2-1B-Instruct", all, ["llama", 16, 2048, 8192, 32, 8, 64, 128256, 5e5, 1e-5, true, 32]],
  ["Llama-3.2-3B-Instruct", packed, ["llama", 28, 3072, 8192, 24, 8, 128, 128256, 5e5, 1e-5, true, 32]],
  ["Llama-3_1-8B-Instruct", packed, ["llama", 32, 4096, 14336, 32, 8, 128, 128256, 5e5, 1e-5, false, 8]],
  ["Llama-3-8B-Instruct", packed, ["llama", 32, 4096, 14336, 32, 8, 128, 128256, 5e5, 1e-5, false]],
  ["Llama-2-7b-chat-hf", packed, ["llama", 32, 4096, 11008, 32, 32, 128, 32000, 1e4, 1e-5, false]],
  ["Llama-2-13b-chat-hf", ["q4f16_1"], ["llama", 40, 5120, 13824, 40, 40, 128, 32000, 1e4, 1e-5, false]],
  ["TinyLlama-1.1B-Chat-v1.0", packed, ["llama", 22, 2048, 5632, 32, 4, 64, 32000, 1e4, 1e-5, false]],
  ["Mistral-7B-Instruct-v0.3", packed, ["mistral", 32, 4096, 14336, 32, 8, 128, 32768, 1e6, 1e-5, false]],
  ["Qwen2-0.5B-Instruct", all, ["qwen2", 24, 896, 4864, 14, 2, 64, 151936, 1e6, 1e-6, true]],
  ["Qwen2-1.5B-Instruct", packed, ["qwen2", 28, 1536, 8960, 12, 2, 128, 151936, 1e6, 1e-6, true]],
  ["Qwen2.5-3B-Instruct", packed, ["qwen2", 36, 2048, 11008, 16, 2, 128, 151936, 1e6, 1e-6, true]],
  ["Qwen2-7B-Instruct", packed, ["qwen2", 28, 3584, 18944, 28, 4, 128, 152064, 1e6, 1e-6, false]],
  ["Qwen3-0.6B", all, ["qwen3", 28, 1024, 3072, 16, 8, 128, 151936, 1e6, 1e-6, true]],
  ["Qwen3-1.7B", packed, ["qwen3", 28, 2048, 6144, 16, 8, 128, 151936, 1e6, 1e-6, true]],
  ["Qwen3-4B", packed, ["qwen3", 36, 2560, 9728, 32, 8, 128, 151936, 1e6, 1e-6, true]],
  ["Qwen3-8B", packed, ["qwen3", 36, 4096, 12288, 32, 8, 128, 151936, 1e6, 1e-6, false]],
  ["gemma-2b-it", packed, ["gemma", 18, 2048, 16384, 8, 1, 256, 256000, 1e4, 1e-6, true]],
];

/** Address of the prebuilt library that computes this architecture in this quantisation; undefined where there is none. */
export function prebuiltLibrary(config: ModelConfig, quant: QuantName): string | undefined {
  const { rope } = config;
  if (windowOf(config) !== undefined) return undefined;
  const sizes = [
    ...[config.family, config.nLayers, config.hiddenSize, config.intermediateSize, config.nHeads, config.nKvHeads],
    ...[config.headDim, config.vocabularySize, rope.theta, config.rmsNormEps, config.tied],
    ...(rope.scaling.kind === "llama3" ? [rope.scaling.factor] : []),
  ].join();
  const found = libraries.find(([, quants, shape]) => quants.includes(quant) && shape.join() === sizes);
  return found && libraryUrl(found[0], quant);
}
