import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { sha256OfFile, writeWhole } from "@safedelta/pipeline";
import { z } from "zod";
import { savedJson } from "./savedJson.ts";

/** Hash of each file's bytes beside what tells that it is the same still, so that large models are read once. */
export type KnownHashes = z.infer<typeof knownHashes>;
const knownHashes = z.record(z.string(), z.object({ stamp: z.string(), sha256: z.string() }));

/** The hashes that an experiment's folder remembers. @throws UsageError when their file is damaged */
export async function readHashes(out: string): Promise<KnownHashes> {
  return (await savedJson(join(out, "inputs.json"), knownHashes)) ?? {};
}

export function saveHashes(out: string, known: KnownHashes): Promise<void> {
  return writeWhole(join(out, "inputs.json"), `${JSON.stringify(known, null, 2)}\n`);
}

/**
 * What decides the results in words that name files or folders of this machine: each path in a word (`BASE+ADAPTER`, `NAME=FILE,FILE`, `FILE#…`) gives
 * way to the hash of what lies there. Words without any are left out.
 * @param known is added to
 */
export async function hashInputs(words: Iterable<string>, known: KnownHashes): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const word of new Set(words)) {
    const whole = await hashPath(word, known);
    const pieces = word.split(/([+=,#])/);
    const parts = await Promise.all(pieces.map((piece) => hashPath(piece, known)));
    if (whole !== undefined) hashes.set(word, whole);
    else if (parts.some((part) => part !== undefined))
      hashes.set(word, pieces.map((piece, i) => parts[i] ?? piece).join(""));
  }
  return hashes;
}

/** Undefined for what is not there; a folder is all the files below it, by name. */
async function hashPath(path: string, known: KnownHashes): Promise<string | undefined> {
  const found = path.trim() === "" ? undefined : await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  if (!found.isDirectory()) return hashFile(path, `${found.size} ${found.mtimeMs} ${found.ino}`, known);
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const file of files.sort()) hash.update(`${file.slice(path.length)}\n${await hashPath(file, known)}\n`);
  return `folder:${hash.digest("hex")}`;
}

async function hashFile(path: string, stamp: string, known: KnownHashes): Promise<string> {
  if (known[path]?.stamp !== stamp) known[path] = { stamp, sha256: await sha256OfFile(path) };
  return `file:${known[path].sha256}`;
}
