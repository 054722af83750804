import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { adapterConfigName, adapterWeightsName } from "../adapter.ts";
import { errorCode } from "../errors.ts";
import { isJsonObject } from "../json-file.ts";
import type { HubId } from "../resolve.ts";
import { indexName, weightsName } from "../shards.ts";

/** Folder of a repository in the cache. */
export function repoFolder(cache: string, { repo }: HubId): string {
  return join(cache, `models--${repo.replaceAll("/", "--")}`);
}

export function snapshotFolder(cache: string, id: HubId, commit: string): string {
  return join(repoFolder(cache, id), "snapshots", commit);
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Shards that an index names; none when it cannot be parsed (opening it will say why). */
async function shardsOf(index: string): Promise<string[]> {
  try {
    const { weight_map: map } = JSON.parse(await readFile(index, "utf8"));
    return isJsonObject(map) ? Object.values(map).filter((file) => typeof file === "string") : [];
  } catch {
    return [];
  }
}

/** Files without which a snapshot cannot be opened, given what it has. */
async function neededFiles(folder: string, names: readonly string[]): Promise<string[]> {
  if (names.includes(adapterConfigName) && !names.includes("config.json")) return [adapterWeightsName];
  if (names.includes(weightsName)) return ["config.json"];
  if (names.includes(indexName)) return ["config.json", ...(await shardsOf(join(folder, indexName)))];
  return ["config.json", weightsName];
}

/** True when every file that opening needs is in a snapshot (an interrupted download leaves some out). */
async function isComplete(folder: string): Promise<boolean> {
  const names = await unlessMissing(readdir(folder));
  return names !== undefined && (await neededFiles(folder, names)).every((name) => names.includes(name));
}

/** The commit that a revision meant when it was last downloaded. */
async function cachedCommit(cache: string, id: HubId): Promise<string> {
  const commit = await unlessMissing(readFile(join(repoFolder(cache, id), "refs", id.revision), "utf8"));
  return commit?.trim() || id.revision;
}

/** The folder of a completely cached snapshot, or undefined. */
export async function findCached(cache: string, id: HubId): Promise<string | undefined> {
  const folder = snapshotFolder(cache, id, await cachedCommit(cache, id));
  return (await isComplete(folder)) ? folder : undefined;
}
