import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { decidesLoading } from "./companions.ts";
import { type Disk, syncFolder } from "./disk.ts";
import { CheckpointError } from "./errors.ts";
import { indexBytes, type ShardPlan } from "./shard-plan.ts";
import { indexName } from "./shards.ts";
import type { WorkPaths } from "./work-folder.ts";
import { writeFileAtomic } from "./write-file.ts";

const weightFile = /^model(-\d{5}-of-\d{5})?\.safetensors$/;

/** Throws `CheckpointError` ("format") for a further file whose name is a path or one of the writer's own. */
export function checkExtraNames(names: Iterable<string>): void {
  for (const name of names)
    if (/[/\\\0]/.test(name) || name.startsWith(".") || name === "" || weightFile.test(name) || name === indexName)
      throw new CheckpointError("format", `${JSON.stringify(name)} cannot be a further file of a model folder`, {
        file: name,
      });
}

/** File names in the order in which they take their final place: until config.json and the index are there, nothing loads. */
export function finalOrder(shards: readonly ShardPlan[], extra: Iterable<string>): string[] {
  const names = [...extra].sort((a, b) => Number(a === "config.json") - Number(b === "config.json"));
  return [...shards.map(({ file }) => file), ...names, ...(shards.length > 1 ? [indexName] : [])];
}

/** Writes the further files and the index into the work folder. */
export async function writeExtra(
  { work }: WorkPaths,
  shards: readonly ShardPlan[],
  extra: ReadonlyMap<string, Uint8Array>,
  disk: Disk,
): Promise<void> {
  for (const [name, bytes] of extra) await writeFileAtomic(join(work, name), [bytes], disk);
  if (shards.length > 1) await writeFileAtomic(join(work, indexName), [indexBytes(shards)], disk);
}

/** Removes what a former model left that would mix with the new one: config.json first, so that nothing loads meanwhile. */
export async function removeFormer({ out }: WorkPaths): Promise<void> {
  const names = (await readdir(out)).filter(
    (name) => weightFile.test(name) || name === indexName || decidesLoading(name),
  );
  names.sort((a, b) => Number(b === "config.json") - Number(a === "config.json"));
  for (const name of names) await rm(join(out, name));
  await syncFolder(out);
}

/** Moves the files to their final place, those that are still in the work folder, does `last`, and removes that folder. */
export async function moveFiles(
  { out, work }: WorkPaths,
  order: readonly string[],
  disk: Disk,
  last: () => Promise<void>,
): Promise<void> {
  const waiting = new Set(await readdir(work));
  for (const name of order) if (waiting.has(name)) await disk.rename(join(work, name), join(out, name));
  await syncFolder(out);
  await last();
  await rm(work, { recursive: true });
  await syncFolder(out);
}
