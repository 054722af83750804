import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type LoraConfig, parseLoraConfig } from "./adapter-config.ts";
import { type AdapterKeys, groupAdapterKeys, type LoraParts } from "./adapter-keys.ts";
import { type Companion, listCompanions } from "./companions.ts";
import { decodeF32 } from "./decode.ts";
import { CheckpointError, guardIo } from "./errors.ts";
import { type JsonObject, readJsonObject } from "./json-file.ts";
import { noWeights } from "./model-folder.ts";
import { safePath } from "./safe-path.ts";
import { openSafetensors, type TensorFile } from "./safetensors.ts";
import { requireTensor, type Tensor, type TensorInfo } from "./tensor.ts";

/** File names of PEFT. */
export const adapterConfigName = "adapter_config.json";
export const adapterWeightsName = "adapter_model.safetensors";

/** One adapted weight: W' = W + scale · B·A, then rows scaled to `magnitude` for DoRA (arXiv 2402.09353). */
export interface LoraPair extends LoraParts {
  readonly weight: string;
  readonly rank: number;
  readonly scale: number;
  /** The base stores this weight as in x out (fan_in_fan_out, embeddings): (B·A)ᵀ is added. */
  readonly transposed: boolean;
}

/** The values of a pair. */
export interface LoraFactors {
  /** r x cols */
  readonly a: Float32Array;
  /** rows x r */
  readonly b: Float32Array;
  readonly r: number;
  readonly rows: number;
  readonly cols: number;
  readonly scale: number;
}

/** An open PEFT LoRA adapter. */
export interface Adapter {
  readonly folder: string;
  /** adapter_config.json, unknown keys included. */
  readonly config: JsonObject;
  /** Weight name in the base -> its pair. */
  readonly pairs: ReadonlyMap<string, LoraPair>;
  /** Weight name in the base -> the tensor that takes its place (modules_to_save, biases). */
  readonly otherTensors: ReadonlyMap<string, TensorInfo>;
  readonly companions: ReadonlyMap<string, Companion>;
  /** Every tensor of the adapter file under its own key. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** A tensor by its key in the adapter file. */
  read(key: string): Promise<Tensor>;
  /** The factors of one weight, as f32. Throws `CheckpointError` ("missing") for a weight that is not adapted. */
  readPair(weight: string): Promise<LoraFactors>;
  close(): Promise<void>;
}

function shapeError(file: string, module: string, message: string): CheckpointError {
  return new CheckpointError("format", `${file}: module ${module}: ${message}; the adapter is damaged`, {
    file,
    tensor: module,
  });
}

/** A must be [r, cols] and B [rows, r] with the rank that the configuration gives this module; DoRA has `rows` magnitudes. */
function checkParts(module: string, parts: LoraParts, rank: number, config: LoraConfig, file: string): void {
  const { a, b, magnitude, embedding } = parts;
  if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[0] !== rank || b.shape[1] !== rank)
    throw shapeError(
      file,
      module,
      `lora_A [${a.shape}] and lora_B [${b.shape}] do not have the configured rank ${rank}`,
    );
  if (config.useDora !== (magnitude !== undefined))
    throw shapeError(
      file,
      module,
      `use_dora is ${config.useDora} but lora_magnitude_vector is ${magnitude ? "there" : "missing"}`,
    );
  if (magnitude && embedding)
    throw new CheckpointError("unsupported", `${file}: module ${module}: DoRA on embeddings is not read here`, {
      file,
      tensor: module,
    });
  if (magnitude && magnitude.shape.reduce((p, n) => p * n, 1) !== b.shape[0])
    throw shapeError(file, module, `lora_magnitude_vector [${magnitude.shape}] must have ${b.shape[0]} numbers`);
}

/** layers_to_transform restricts where PEFT puts the adapter; the keys must tell the same story. */
function checkLayer(module: string, layers: readonly number[] | undefined, file: string): void {
  const layer = module.split(".").find((part) => /^\d+$/.test(part));
  if (layers === undefined || layer === undefined || layers.includes(Number(layer))) return;
  throw new CheckpointError("format", `${file}: module ${module} is adapted, but layers_to_transform is [${layers}]`, {
    file,
    tensor: module,
  });
}

function makePairs({ modules }: AdapterKeys, config: LoraConfig, file: string): Map<string, LoraPair> {
  const pairs = new Map<string, LoraPair>();
  for (const [module, parts] of modules) {
    const { rank, scale } = config.scaling(module);
    checkLayer(module, config.layers, file);
    checkParts(module, parts, rank, config, file);
    const weight = `${module}.weight`;
    pairs.set(weight, { ...parts, weight, rank, scale, transposed: config.fanInFanOut || parts.embedding });
  }
  return pairs;
}

async function openWeights(folder: string): Promise<TensorFile> {
  const names = await guardIo("list the folder", folder, () => readdir(folder));
  if (!names.includes(adapterWeightsName)) throw noWeights(folder, names, adapterWeightsName);
  return openSafetensors(await safePath(folder, adapterWeightsName));
}

function makeAdapter(
  folder: string,
  config: JsonObject,
  companions: Map<string, Companion>,
  file: TensorFile,
): Adapter {
  const keys = groupAdapterKeys(file.tensors, file.path);
  const pairs = makePairs(keys, parseLoraConfig(config, join(folder, adapterConfigName)), file.path);
  return {
    folder,
    config,
    pairs,
    otherTensors: keys.replaced,
    companions,
    tensors: file.tensors,
    read: (key) => file.read(key),
    async readPair(weight) {
      const { a, b, rank, scale } = requireTensor(pairs, weight, file.path);
      const [aValues, bValues] = [decodeF32(await file.read(a.name)), decodeF32(await file.read(b.name))];
      return { a: aValues, b: bValues, r: rank, rows: b.shape[0], cols: a.shape[1], scale };
    },
    close: () => file.close(),
  };
}

/**
 * Opens a PEFT LoRA folder (adapter_config.json, adapter_model.safetensors) and checks it by itself; `adaptCheckpoint`
 * checks it against its base.
 * @throws CheckpointError "unsupported" (with the reason), "format", "missing", "not-found"
 */
export async function openAdapter(folder: string): Promise<Adapter> {
  const config = await readJsonObject(await safePath(folder, adapterConfigName));
  parseLoraConfig(config, join(folder, adapterConfigName));
  const companions = await listCompanions(folder);
  const file = await openWeights(folder);
  try {
    return makeAdapter(folder, config, companions, file);
  } catch (error) {
    await file.close();
    throw error;
  }
}
