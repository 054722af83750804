import { constants } from "node:fs";
import { access, lstat, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { PipelineError } from "./errors.ts";
import { freeText, neededText } from "./sizes.ts";

/** sha256 in hex of text or bytes. */
export function sha256(data: string | Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(data).digest("hex");
}

/** The same of a copy of the bytes, on a thread of its own: hashing would else take as long as a third of the products of a repair. */
export async function sha256Aside(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)).toHex();
}

/** sha256 in hex of a file that is there. */
export async function sha256OfFile(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const bytes of Bun.file(path).stream()) hasher.update(bytes);
  return hasher.digest("hex");
}

/** JSON with two-space indentation and sorted keys, so that equal values have equal bytes. */
export function stableJson(value: unknown): string {
  return `${JSON.stringify(value, sortKeys, 2)}\n`;
}

function sortKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const noSpace = new Set(["ENOSPC", "EDQUOT"]);

/**
 * Work on a file or folder of ours; what the operating system refuses is told with the place.
 * @throws PipelineError `resources` when the disk is full, `failed` for any other refusal
 */
export async function guardFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    if (noSpace.has(code)) {
      const next = "Free some and run the same command again: it goes on where it stopped.";
      throw new PipelineError("resources", `${path}: no space left on the disk. ${next}`, error);
    }
    throw new PipelineError("failed", `${path}: ${message}. Choose another --out, or mend what refuses it.`, error);
  }
}

/** Read a JSON file of ours. @throws PipelineError `incompatible` when it is not JSON */
export async function readJson<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await Bun.file(path).text()) as T;
  } catch (error) {
    throw new PipelineError("incompatible", `${path}: cannot be read as JSON (${String(error)}). Make it again.`);
  }
}

/**
 * Check, without writing, that a folder may be written, or made where it is not there yet.
 * @throws PipelineError `failed` when the nearest folder that there is is none or may not be written; `usage` for a link to nothing
 */
export async function requirePlace(folder: string): Promise<void> {
  await requireNoDeadLink(folder);
  const there = await nearest(resolve(folder));
  await guardFile(folder, async () => {
    await readdir(there);
    await access(there, constants.W_OK | constants.X_OK);
  });
}

/** @throws PipelineError `usage` when the path is a link to nothing: no folder can be made there */
export async function requireNoDeadLink(path: string): Promise<void> {
  const [found, link] = await Promise.all([stat, lstat].map((look) => look(path).catch(() => undefined)));
  if (!found && link)
    throw new PipelineError("usage", `${path}: is a link to nothing. Choose another --out, or mend the link.`);
}

/** The path itself or the first above it that is there. */
async function nearest(path: string): Promise<string> {
  const missing = (error: NodeJS.ErrnoException) => error.code === "ENOENT" || error.code === "ENOTDIR";
  const found = await stat(path).catch((error) => (missing(error) ? undefined : path));
  return found === undefined && dirname(path) !== path ? nearest(dirname(path)) : path;
}

/** Free bytes on the disk that holds (or will hold) `path`. */
export async function freeDiskBytes(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { bavail, bsize } = await statfs(at);
      return bavail * bsize;
    } catch (error) {
      if (dirname(at) === at) throw error;
    }
  }
}

/** Bytes that the files below a folder take on the disk (a sparse file only what was written); 0 when there is none. */
async function takenBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const sizes = await Promise.all(files.map(async (file) => 512 * (await stat(file)).blocks));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/**
 * @param unfinished folders with what an interrupted run has written already: that much less is needed
 * @throws PipelineError `resources` when `path` has less than `totalBytes` free
 */
export async function requireDisk(
  path: string,
  totalBytes: number,
  what: string,
  unfinished: readonly string[],
): Promise<void> {
  const free = await freeDiskBytes(path);
  const taken = await Promise.all(unfinished.map(takenBytes));
  const neededBytes = taken.reduce((left, bytes) => left - bytes, totalBytes);
  if (free >= neededBytes) return;
  throw new PipelineError(
    "resources",
    `${what} needs ${neededText(neededBytes)} of disk at ${path}, but only ${freeText(free)} are free. Free some, or choose another --out.`,
  );
}

/** Remove a file or folder if it is there. @throws PipelineError as `guardFile` */
export function removeQuietly(path: string): Promise<void> {
  return guardFile(path, () => rm(path, { recursive: true, force: true }));
}

/**
 * Remove a folder that later runs would take for unfinished work: a kill leaves it whole or without its name, never in parts under it.
 * @throws PipelineError as `guardFile`
 */
export async function removeAtOnce(path: string): Promise<void> {
  const aside = `${path}.removed`;
  await removeQuietly(aside);
  await guardFile(path, () => rename(path, aside).catch(ignoreMissing));
  await removeQuietly(aside);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
