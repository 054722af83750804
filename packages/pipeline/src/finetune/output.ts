import { join } from "node:path";
import { type TensorDType, type TensorInfo, writeNewAdapter } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import { type Model, type ModelTensor, modelTensors } from "@safedelta/model";
import type { Lora, LoraOptions, Parameter } from "@safedelta/training";
import { adapterConfig, hashAdapter, newAdapterPart, publishAdapter } from "../adapterFiles.ts";
import { removeAtOnce, sha256, sha256OfFile } from "../files.ts";
import { openWriter } from "../modelOutput.ts";
import type { OpenedModel } from "../models.ts";
import { downloadAs } from "../upload.ts";
import { besideOf } from "../workFolder.ts";
import type { FinetuneOptions } from "./options.ts";

/** sha256 of what was written, by name. */
export type Written = Readonly<Record<string, string>>;

/** A trained model in engine memory, and where it came from. */
export interface TrainedModel {
  readonly engine: Engine;
  readonly opened: OpenedModel;
  readonly model: Model;
  readonly parameters: readonly Parameter[];
}

/**
 * Write the model: trained tensors out of the engine, all others as they were. A killed run goes on with the next tensor.
 * @param describe the further files, out of the hashes of the tensors
 */
export async function writeModel(
  { engine, opened, model, parameters }: TrainedModel,
  options: FinetuneOptions,
  fingerprint: string,
  describe: (tensors: Written) => ReadonlyMap<string, Uint8Array>,
): Promise<Written> {
  const { checkpoint } = opened;
  const { maxShardBytes, overwrite } = options;
  const places = modelTensors(model);
  const trained = new Set(parameters.map(({ weight }) => weight));
  const isTrained = (place: ModelTensor | undefined) => place !== undefined && trained.has(place.owner);
  const infos = [...checkpoint.tensors.values()].map((info): TensorInfo => {
    return isTrained(places.get(info.name)) ? { ...info, dtype: options.dtype ?? info.dtype } : info;
  });
  const writer = await openWriter(options.out, { tensors: infos, maxShardBytes, fingerprint, overwrite });
  try {
    for (const { name, dtype } of infos) {
      if (writer.done.has(name)) continue;
      const place = places.get(name);
      const bytes =
        place && isTrained(place)
          ? trainedBytes(engine, place.values, dtype, name)
          : (await checkpoint.read(name)).bytes;
      await writer.write(name, bytes, { sha256: sha256(bytes) });
    }
    const sorted = [...writer.done].sort(([a], [b]) => (a < b ? -1 : 1));
    const hashes: Written = Object.fromEntries(sorted.map(([name, note]) => [name, note.sha256]));
    await writer.finish(describe(hashes), () => removeAtOnce(besideOf(options.out)));
    return hashes;
  } finally {
    await writer.abort();
  }
}

function trainedBytes(engine: Engine, values: Matrix, dtype: TensorDType, name: string): Uint8Array {
  if (values.dtype === "f32") return downloadAs(engine, values, dtype, name);
  using wide = engine.alloc(values.rows, values.cols);
  engine.convert(values, wide);
  return downloadAs(engine, wide, dtype, name);
}

/** What a training wrote, by hashes. */
export interface WrittenOutput {
  readonly tensors: Written;
  /** Beside the weights. */
  readonly files: Written;
}

/**
 * Write the adapter in PEFT's format.
 * @param describe the further files, out of the hashes of the tensors and of the configuration
 */
export async function writeLora(
  engine: Engine,
  { layers }: Lora,
  settings: LoraOptions,
  options: FinetuneOptions,
  describe: (written: WrittenOutput) => ReadonlyMap<string, Uint8Array>,
): Promise<WrittenOutput> {
  const { model: base, out } = options;
  const read = (m: Matrix) => engine.read(m) as Float32Array;
  const factors = new Map(layers.flat().map(({ name, a, b }) => [name, { a: read(a), b: read(b) }]));
  const part = await newAdapterPart(out);
  await writeNewAdapter(part, { base, ...settings, factors });
  const files = { [adapterConfig]: await sha256OfFile(join(part, adapterConfig)) };
  const written = { tensors: await hashAdapter(part), files };
  await publishAdapter(out, describe(written));
  return written;
}
