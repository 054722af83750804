import { createReadStream } from "node:fs";
import { mkdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { downloadFile, HubApiError, type ListFileEntry, listFiles, modelInfo } from "@huggingface/hub";
import { adapterConfigName, adapterWeightsName } from "../adapter.ts";
import { isCompanionName } from "../companions.ts";
import { nodeDisk } from "../disk.ts";
import { asCheckpointError, CheckpointError, errorCode } from "../errors.ts";
import { noWeights } from "../model-folder.ts";
import type { HubId } from "../resolve.ts";
import { indexName, weightsName } from "../shards.ts";
import { repoFolder, snapshotFolder } from "./cache.ts";
import type { HubSettings } from "./environment.ts";

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

function credentials({ token, endpoint }: HubSettings) {
  return { hubUrl: endpoint, ...(token ? { accessToken: token } : {}) };
}

/** Fetches a file into `partial`, going on where an interrupted download stopped. */
async function fetchInto(partial: string, { path, size }: ListFileEntry, source: Source): Promise<void> {
  const { id, commit, settings, onDownload } = source;
  const blob = await downloadFile({ repo: id.repo, path, revision: commit, ...credentials(settings) });
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
  const entries = await Array.fromAsync(listFiles({ repo: id.repo, revision: commit, ...credentials(settings) }));
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

/** True for our own errors and those of the disk; the others come from the network. */
function isLocal(error: unknown): boolean {
  const syscall = (error as { syscall?: string } | null)?.syscall;
  return error instanceof CheckpointError || (syscall !== undefined && !/connect|getaddrinfo/.test(syscall));
}

/** What a failed request means to the user. */
function hubError(error: unknown, { repo, revision }: HubId, { endpoint, token }: HubSettings): CheckpointError {
  const place = { file: repo, cause: error };
  if (!(error instanceof HubApiError)) {
    if (isLocal(error)) return asCheckpointError(error, "download the model", repo);
    const reason = error instanceof Error ? error.message : String(error);
    return new CheckpointError(
      "io",
      `${repo}: cannot reach ${endpoint}: ${reason}; check the network, or name a local folder`,
      place,
    );
  }
  if (error.statusCode === 401 || error.statusCode === 403) {
    const advice = token
      ? "the token has no access to it: ask for it on its page"
      : "set HF_TOKEN if it is private or gated";
    return new CheckpointError(
      "not-found",
      `${repo}@${revision}: ${endpoint} refuses access (${error.statusCode}); ${advice}`,
      place,
    );
  }
  if (error.statusCode === 404)
    return new CheckpointError(
      "not-found",
      `${repo}@${revision}: there is no such local folder, and no such model or revision on ${endpoint}`,
      place,
    );
  return new CheckpointError("io", `${repo}: ${endpoint} answered ${error.statusCode}: ${error.message}`, place);
}

async function resolveCommit({ repo, revision }: HubId, settings: HubSettings): Promise<string> {
  const { sha } = await modelInfo({ name: repo, revision, additionalFields: ["sha"], ...credentials(settings) });
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
