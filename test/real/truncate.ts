import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, openAdapter, openCheckpoint, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import type { RealModel } from "./smollm2.ts";

/** An aligned model folder and the adapter folder tuned on it. */
export interface TruncatedPair {
  readonly aligned: string;
  readonly tuned: string;
}

/**
 * Write the real pair with its first layers only: real widths, weights, tokenizer and adapter, at a fraction of the work. The
 * aligned adapter is merged, the tuned one stays an adapter.
 */
export async function truncatePair(real: RealModel, folder: string, nLayers: number): Promise<TruncatedPair> {
  const pair = { aligned: join(folder, "aligned"), tuned: join(folder, "tuned") };
  const model = await openCheckpoint(real.aligned, { offline: true });
  await writeModel(model, pair.aligned, nLayers);
  await model.close();
  await writeAdapter(real.tuned, pair.tuned, nLayers);
  return pair;
}

async function writeModel(model: Checkpoint, folder: string, nLayers: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, file] of model.companions) await Bun.write(join(folder, name), await file.bytes());
  await Bun.write(join(folder, "config.json"), JSON.stringify({ ...model.config, num_hidden_layers: nLayers }));
  await writeFirstLayers(join(folder, "model.safetensors"), model, nLayers);
}

async function writeAdapter(source: string, folder: string, nLayers: number): Promise<void> {
  const adapter = await openAdapter(source);
  await mkdir(folder, { recursive: true });
  await Bun.write(join(folder, "adapter_config.json"), JSON.stringify(adapter.config));
  await writeFirstLayers(join(folder, "adapter_model.safetensors"), adapter, nLayers);
  await adapter.close();
}

async function writeFirstLayers(
  path: string,
  source: Pick<Checkpoint, "tensors" | "read">,
  nLayers: number,
): Promise<void> {
  const layerOf = (name: string) => Number(/\.layers\.(\d+)\./.exec(name)?.[1] ?? 0);
  const names = [...source.tensors.keys()].filter((name) => layerOf(name) < nLayers);
  const tensors: Tensor[] = [];
  for (const name of names) tensors.push(await source.read(name));
  await writeSafetensors(path, tensors, { format: "pt" });
}
