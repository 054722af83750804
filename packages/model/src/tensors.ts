import { isFloat, type JsonObject, type TensorDType, type TensorInfo } from "@safedelta/checkpoint";
import type { ModelConfig } from "./config.ts";
import { ModelError } from "./error.ts";
import { atLayer, tensorNames } from "./families.ts";
import { groupsOfLayer } from "./groups.ts";

/** A tensor that the model's files hold (`optional`: may hold). */
export interface ExpectedTensor {
  readonly shape: readonly number[];
  /** True for what transformers ignores when loading: a tied head and the stored rotary frequencies of old files. */
  readonly optional: boolean;
}

const needed = (...shape: number[]): ExpectedTensor => ({ shape, optional: false });

/** The tensors of one layer that the forward pass uses, by name. */
export function layerTensors(config: ModelConfig, layer: number): Map<string, ExpectedTensor> {
  const norm = (name: string, size: number): [string, ExpectedTensor] => [atLayer(name, layer), needed(size)];
  const tensors = new Map([
    norm(tensorNames.inputNorm, config.hiddenSize),
    norm(tensorNames.mlpNorm, config.hiddenSize),
  ]);
  if (config.qkNorm) {
    for (const name of [tensorNames.qNorm, tensorNames.kNorm]) tensors.set(...norm(name, config.headDim));
  }
  for (const { name, linears } of groupsOfLayer(config, layer)) {
    for (const linear of linears) {
      tensors.set(linear.name, needed(linear.rows, linear.cols));
      if (config.biases[name]) tensors.set(biasName(linear.name), needed(linear.rows));
    }
  }
  return tensors;
}

/** `….bias` beside `….weight`. */
export function biasName(weightName: string): string {
  return weightName.replace(/\.weight$/, ".bias");
}

/** Every tensor that a checkpoint of this configuration holds, with its shape. */
export function expectedTensors(config: ModelConfig): Map<string, ExpectedTensor> {
  const table = needed(config.vocabularySize, config.hiddenSize);
  const tensors = new Map<string, ExpectedTensor>([[tensorNames.embedding, table]]);
  for (let layer = 0; layer < config.nLayers; layer++) {
    for (const [name, tensor] of layerTensors(config, layer)) tensors.set(name, tensor);
    const frequencies = atLayer("model.layers.{layer}.self_attn.rotary_emb.inv_freq", layer);
    tensors.set(frequencies, { shape: [config.headDim / 2], optional: true });
  }
  tensors.set(tensorNames.finalNorm, needed(config.hiddenSize));
  tensors.set(tensorNames.head, { ...table, optional: config.tied });
  return tensors;
}

const dtypes: Readonly<Record<string, TensorDType>> = { float32: "F32", float16: "F16", bfloat16: "BF16" };

/**
 * The tensors that a model of this config.json has, in its `torch_dtype` (`dtype`; float32 where it says neither, as in transformers), for
 * those who have no weights at hand.
 * @param raw config.json
 * @throws ModelError `unsupported` for another dtype
 */
export function assumedTensors(config: ModelConfig, raw: JsonObject): Map<string, TensorInfo> {
  const named = raw.torch_dtype ?? raw.dtype ?? "float32";
  const dtype = Object.hasOwn(dtypes, String(named)) ? dtypes[String(named)] : undefined;
  if (dtype === undefined)
    throw new ModelError("unsupported", [
      `torch_dtype is ${JSON.stringify(named)}; known are ${Object.keys(dtypes).join(", ")}.`,
    ]);
  const held = [...expectedTensors(config)].filter(([, { optional }]) => !optional);
  return new Map(held.map(([name, { shape }]) => [name, { name, dtype, shape }]));
}

/** Everything in which a checkpoint's tensors differ from `expectedTensors`, a sentence each; empty when nothing does. */
export function checkTensors(config: ModelConfig, tensors: ReadonlyMap<string, TensorInfo>): string[] {
  const expected = expectedTensors(config);
  const problems: string[] = [];
  for (const [name, { shape, optional }] of expected) {
    const found = tensors.get(name);
    if (found) problems.push(...checkTensor(found, shape));
    else if (!optional) problems.push(`Tensor ${name} [${shape.join(", ")}] is missing.`);
  }
  for (const name of tensors.keys()) {
    if (!expected.has(name))
      problems.push(`Tensor ${name} does not belong to a ${config.family} model of this config.json.`);
  }
  return problems;
}

function checkTensor({ name, dtype, shape }: TensorInfo, expected: readonly number[]): string[] {
  const problems: string[] = [];
  if (shape.join() !== expected.join()) {
    problems.push(`Tensor ${name} has shape [${shape.join(", ")}]; config.json asks for [${expected.join(", ")}].`);
  }
  if (!isFloat(dtype)) problems.push(`Tensor ${name} holds ${dtype}; weights must be floating-point numbers.`);
  return problems;
}
