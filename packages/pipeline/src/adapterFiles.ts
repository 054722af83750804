import { rename } from "node:fs/promises";
import { join } from "node:path";
import { classifyPath, openAdapter, workName } from "@safedelta/checkpoint";
import { PipelineError } from "./errors.ts";
import { guardFile, removeAtOnce, removeQuietly, sha256 } from "./files.ts";
import { besideOf, writeDurably } from "./workFolder.ts";

/** File names of PEFT. */
const adapterWeights = "adapter_model.safetensors";
export const adapterConfig = "adapter_config.json";

/** Where an adapter is put together, in the work folder. */
export const adapterPart = "adapter";

function partOf(out: string): string {
  return join(out, workName, adapterPart);
}

/** The empty place in the work folder where an adapter is put together. */
export async function newAdapterPart(out: string): Promise<string> {
  await removeQuietly(partOf(out));
  return partOf(out);
}

/** @throws PipelineError `usage` when a whole model stands where an adapter is to go: loaders would take the model */
export async function requireNoModel(out: string): Promise<void> {
  if ((await classifyPath(out)) !== "model") return;
  throw new PipelineError("usage", `${out}: a whole model is there; an adapter needs another --out.`);
}

/**
 * Add the further files and move all to its final place, the configuration last: without it nothing loads the adapter. Then the work
 * folders go, the one in the output last (`removeLeftover`).
 */
export async function publishAdapter(out: string, extra: ReadonlyMap<string, Uint8Array>): Promise<void> {
  const part = partOf(out);
  for (const [name, bytes] of extra) await writeDurably(join(part, name), new TextDecoder().decode(bytes));
  await guardFile(out, async () => {
    await removeQuietly(join(out, adapterConfig));
    for (const name of [adapterWeights, ...extra.keys(), adapterConfig])
      await rename(join(part, name), join(out, name));
  });
  await removeAtOnce(besideOf(out));
  await removeQuietly(join(out, workName));
}

/** sha256 of each tensor of an adapter folder. */
export async function hashAdapter(folder: string): Promise<Record<string, string>> {
  const adapter = await openAdapter(folder);
  try {
    const hashes: Record<string, string> = {};
    for (const key of adapter.tensors.keys()) hashes[key] = sha256((await adapter.read(key)).bytes);
    return hashes;
  } finally {
    await adapter.close();
  }
}
