import { rm, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { PipelineError } from "./errors.ts";

/** sha256 in hex of text or bytes. */
export function sha256(data: string | Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(data).digest("hex");
}

/** JSON with two-space indentation and sorted keys, so that equal values have equal bytes. */
export function stableJson(value: unknown): string {
  return `${JSON.stringify(value, sortKeys, 2)}\n`;
}

function sortKeys(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Read a JSON file of ours. @throws PipelineError `incompatible` when it is not JSON */
export async function readJson<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await Bun.file(path).text()) as T;
  } catch (error) {
    throw new PipelineError("incompatible", `${path}: cannot be read as JSON (${String(error)}).`);
  }
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

/** @throws PipelineError `resources` when `path` has less than `neededBytes` free */
export async function requireDisk(path: string, neededBytes: number, what: string): Promise<void> {
  const free = await freeDiskBytes(path);
  if (free >= neededBytes) return;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  throw new PipelineError(
    "resources",
    `${what} needs ${gib(neededBytes)} of disk at ${path}, but only ${gib(free)} are free. Free some, or choose another --out.`,
  );
}

/** Remove a file or folder if it is there. */
export async function removeQuietly(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}
