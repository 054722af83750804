import { rename } from "node:fs/promises";
import { join } from "node:path";
import { classifyPath, openAdapter, workName } from "@safedelta/checkpoint";
import { PipelineError } from "./errors.ts";
import { guardFile, removeAtOnce, removeQuietly, sha256 } from "./files.ts";

/** File names of PEFT. */
const adapterWeights = "adapter_model.safetensors";
export const adapterConfig = "adapter_config.json";

/** Where an adapter is put together, in the work folder. */
export const adapterPart = "adapter";

export function adapterPartOf(out: string): string {
  return join(out, workName, adapterPart);
}

/** @throws PipelineError `usage` when a whole model stands where an adapter is to go: loaders would take the model */
export async function requireNoModel(out: string): Promise<void> {
  if ((await classifyPath(out)) !== "model") return;
  throw new PipelineError("usage", `${out}: a whole model is there; an adapter needs another --out.`);
}

/**
 * Move adapter and further files to their final place, the configuration last: without it nothing loads the adapter. Then the work
 * folders go, the one in the output last (`removeLeftover`).
 */
export async function publishAdapter(
  part: string,
  out: string,
  extra: readonly string[],
  beside: string,
): Promise<void> {
  const move = (name: string) => rename(join(part, name), join(out, name));
  await guardFile(out, async () => {
    await removeQuietly(join(out, adapterConfig));
    for (const name of [adapterWeights, ...extra]) await move(name);
    await move(adapterConfig);
  });
  await removeAtOnce(beside);
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
