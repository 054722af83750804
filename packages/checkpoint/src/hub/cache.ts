import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { adapterConfigName, adapterWeightsName } from "../adapter.ts";
import { vocabularyFiles } from "../companions.ts";
import { isAbsent } from "../errors.ts";
import { isJsonObject } from "../json-file.ts";
import type { HubId } from "../resolve.ts";
import { indexName, weightsName } from "../shards.ts";

/** Folder of a repository in the cache. */
export function repoFolder(cache: string, { repo, type = "model" }: HubId): string {
  return join(cache, `${type}s--${repo.replaceAll("/", "--")}`);
}

export function snapshotFolder(cache: string, id: HubId, commit: string): string {
  return join(repoFolder(cache, id), "snapshots", commit);
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isAbsent(error)) return undefined;
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

/** A snapshot in the cache that can be opened. */
export interface CachedSnapshot {
  readonly folder: string;
  readonly commit: string;
  /** False for a whole model without any vocabulary: Python's cache holds only what was asked of it. */
  readonly hasTokenizer: boolean;
}

/** The commit that a revision meant when it was last downloaded. */
export async function cachedCommit(cache: string, id: HubId): Promise<string> {
  const commit = await unlessMissing(readFile(join(repoFolder(cache, id), "refs", id.revision), "utf8"));
  return commit?.trim() || id.revision;
}

/** The snapshot in the cache, or undefined when a file that opening needs is not there (an interrupted download). */
export async function findCached(cache: string, id: HubId): Promise<CachedSnapshot | undefined> {
  const commit = await cachedCommit(cache, id);
  const folder = snapshotFolder(cache, id, commit);
  const names = await unlessMissing(readdir(folder));
  if (names === undefined || !(await neededFiles(folder, names)).every((name) => names.includes(name)))
    return undefined;
  const hasTokenizer = !names.includes("config.json") || vocabularyFiles.some((name) => names.includes(name));
  return { folder, commit, hasTokenizer };
}
