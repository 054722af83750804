import { createReadStream } from "node:fs";
import { mkdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { datasetInfo, downloadFile, type ListFileEntry, listFiles, modelInfo, pathsInfo } from "@huggingface/hub";
import { adapterConfigName, adapterWeightsName } from "../adapter.ts";
import { isCompanionName } from "../companions.ts";
import { nodeDisk } from "../disk.ts";
import { CheckpointError, errorCode } from "../errors.ts";
import { noWeights } from "../model-folder.ts";
import type { HubId } from "../resolve.ts";
import { indexName, weightsName } from "../shards.ts";
import { repoFolder, snapshotFolder } from "./cache.ts";
import type { HubSettings } from "./environment.ts";
import { hubError } from "./failure.ts";

/** Hears of the bytes of one file as they arrive. */
export type OnDownload = (file: string, doneBytes: number, totalBytes: number) => void;

const weightFile = /^model(-\d+-of-\d+)?\.safetensors$/;

/** Files of a repository that opening a model uses. */
function isWanted(path: string): boolean {
  return (
    weightFile.test(path) || [indexName, adapterConfigName, adapterWeightsName].includes(path) || isCompanionName(path)
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

/** The hash that names a blob: SHA-256 for large files, git's blob hash for the others. */
async function blobHash(path: string, isLarge: boolean, sizeBytes: number): Promise<string> {
  const hasher = isLarge ? new Bun.CryptoHasher("sha256") : new Bun.CryptoHasher("sha1").update(`blob ${sizeBytes}\0`);
  for await (const chunk of createReadStream(path)) hasher.update(chunk);
  return hasher.digest("hex");
}

/** Everything that a download needs to know. */
interface Source {
  readonly id: HubId;
  readonly commit: string;
  readonly settings: HubSettings;
  readonly onDownload: OnDownload;
}

/** A repository as the Hub's library wants it. */
function repoOf({ repo, type = "model" }: HubId) {
  return { type, name: repo };
}

function credentials({ token, endpoint }: HubSettings) {
  return { hubUrl: endpoint, ...(token ? { accessToken: token } : {}) };
}

/** Fetches a file into `partial`, going on where an interrupted download stopped. */
async function fetchInto(partial: string, { path, size }: ListFileEntry, source: Source): Promise<void> {
  const { id, commit, settings, onDownload } = source;
  const blob = await downloadFile({ repo: repoOf(id), path, revision: commit, ...credentials(settings) });
  if (!blob)
    throw new CheckpointError("missing", `${id.repo}: the Hub lists ${path} but does not have it`, { file: path });
  const fd = await nodeDisk.open(partial, (await exists(partial)) ? "r+" : "w+");
  try {
    let done = (await stat(partial)).size;
    if (done >= size) return;
    const chunks = blob.slice(done, size).stream() as unknown as AsyncIterable<Uint8Array>;
    for await (const chunk of chunks) {
      await nodeDisk.write(fd, chunk, done);
      done += chunk.byteLength;
      onDownload(path, done, size);
    }
    await nodeDisk.sync(fd);
  } finally {
    await nodeDisk.close(fd);
  }
}

/** Downloads into the blobs folder under the hash of the content, and checks that hash. */
async function fetchBlob(blob: string, entry: ListFileEntry, source: Source): Promise<void> {
  const partial = `${blob}.incomplete`;
  await mkdir(dirname(blob), { recursive: true });
  await fetchInto(partial, entry, source);
  const hash = await blobHash(partial, entry.lfs !== undefined, entry.size);
  if (hash !== (entry.lfs?.oid ?? entry.oid)) {
    await rm(partial);
    throw new CheckpointError(
      "io",
      `${source.id.repo}/${entry.path}: arrived damaged (hash ${hash}); run again to download it anew`,
      {
        file: entry.path,
      },
    );
  }
  await rename(partial, blob);
}

/** The files to download. Throws `CheckpointError` when there are no weights among them, saying why. */
async function listWanted({ id, commit, settings }: Source): Promise<ListFileEntry[]> {
  const entries = await Array.fromAsync(listFiles({ repo: repoOf(id), revision: commit, ...credentials(settings) }));
  const wanted = entries.filter(({ type, path }) => type === "file" && isWanted(path));
  if (wanted.some(({ path }) => path.endsWith(".safetensors"))) return wanted;
  throw noWeights(
    id.repo,
    entries.map(({ path }) => path),
    `${weightsName} nor ${adapterWeightsName}`,
  );
}

async function fetchFile(entry: ListFileEntry, source: Source): Promise<void> {
  const { id, commit, settings } = source;
  const pointer = join(snapshotFolder(settings.cache, id, commit), entry.path);
  if (await exists(pointer)) return;
  const hash = entry.lfs?.oid ?? entry.oid ?? "";
  if (!/^[0-9a-f]{40,64}$/.test(hash))
    throw new CheckpointError("io", `${id.repo}/${entry.path}: the Hub gives no hash for it`, { file: entry.path });
  const blob = join(repoFolder(settings.cache, id), "blobs", hash);
  if (!(await exists(blob))) await fetchBlob(blob, entry, source);
  await mkdir(dirname(pointer), { recursive: true });
  await rm(pointer, { force: true });
  await symlink(relative(dirname(pointer), blob), pointer);
}

async function writeRef(cache: string, id: HubId, commit: string): Promise<void> {
  if (id.revision === commit) return;
  const path = join(repoFolder(cache, id), "refs", id.revision);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, commit);
}

async function resolveCommit({ repo, revision, type }: HubId, settings: HubSettings): Promise<string> {
  const request = { name: repo, revision, additionalFields: ["sha" as const], ...credentials(settings) };
  const { sha } = await (type === "dataset" ? datasetInfo(request) : modelInfo(request));
  if (/^[0-9a-f]{40}$/.test(sha)) return sha;
  throw new CheckpointError("io", `${repo}: the Hub gave ${JSON.stringify(sha)} for the commit of ${revision}`, {
    file: repo,
  });
}

/**
 * Downloads what opening a model needs (weights, configuration, tokenizer; no pickles) into the Hub cache, in the layout of
 * Python's huggingface_hub. Files already there are kept, an interrupted file goes on, and every hash is checked.
 * @returns the snapshot folder
 * @throws CheckpointError "not-found" (no such model, no access), "io", "disk-full"
 */
export async function downloadSnapshot(id: HubId, settings: HubSettings, onDownload: OnDownload): Promise<string> {
  try {
    const commit = await resolveCommit(id, settings);
    const source = { id, commit, settings, onDownload };
    for (const entry of await listWanted(source)) await fetchFile(entry, source);
    await writeRef(settings.cache, id, commit);
    return snapshotFolder(settings.cache, id, commit);
  } catch (error) {
    throw hubError(error, id, settings);
  }
}

/**
 * Downloads one file of a repository into the Hub cache, as `downloadSnapshot` does.
 * @returns the path of the file in its snapshot
 * @throws CheckpointError "not-found" (no such repository, revision or file; no access), "io", "disk-full"
 */
export async function downloadOne(
  id: HubId,
  path: string,
  settings: HubSettings,
  onDownload: OnDownload,
): Promise<string> {
  try {
    const commit = await resolveCommit(id, settings);
    const source = { id, commit, settings, onDownload };
    await fetchFile(await entryOf(path, source), source);
    await writeRef(settings.cache, id, commit);
    return join(snapshotFolder(settings.cache, id, commit), path);
  } catch (error) {
    throw hubError(error, id, settings);
  }
}

async function entryOf(path: string, { id, commit, settings }: Source): Promise<ListFileEntry> {
  const found = await pathsInfo({ repo: repoOf(id), paths: [path], revision: commit, ...credentials(settings) });
  const entry = found.find((info) => info.path === path && info.type === "file");
  if (entry) return entry as ListFileEntry;
  throw new CheckpointError("not-found", `${id.repo}@${id.revision}: has no file ${path}; look it up on its page`, {
    file: path,
  });
}
