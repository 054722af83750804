import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "@safedelta/pipeline";

/** Hash of a file's bytes beside what tells that the file is the same still. */
type Known = Record<string, { readonly stamp: string; readonly sha256: string }>;

/**
 * What decides the results in words that name files or folders of this machine: each path in a word (`BASE+ADAPTER`, `NAME=FILE,FILE`) gives
 * way to the hash of what lies there. Words without any are left out.
 * @param out folder whose inputs.json remembers hashes by size and time of the files, so that large models are read once
 */
export async function hashInputs(words: Iterable<string>, out: string): Promise<Map<string, string>> {
  const cache = join(out, "inputs.json");
  const known: Known = await readFile(cache, "utf8").then(JSON.parse, () => ({}));
  const hashes = new Map<string, string>();
  for (const word of new Set(words)) {
    const parts = await Promise.all(word.split(/([+=,])/).map((part) => hashPath(part, known)));
    const texts = word.split(/([+=,])/).map((part, i) => parts[i] ?? part);
    const whole = await hashPath(word, known);
    if (whole !== undefined) hashes.set(word, whole);
    else if (parts.some((part) => part !== undefined)) hashes.set(word, texts.join(""));
  }
  if (existsSync(out)) await writeWhole(cache, `${JSON.stringify(known, null, 2)}\n`);
  return hashes;
}

/** Undefined for what is not there; a folder is all the files below it, by name. */
async function hashPath(path: string, known: Known): Promise<string | undefined> {
  const found = path.trim() === "" ? undefined : await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  if (!found.isDirectory()) return hashFile(path, `${found.size} ${found.mtimeMs} ${found.ino}`, known);
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const file of files.sort()) hash.update(`${file.slice(path.length)}\n${await hashPath(file, known)}\n`);
  return `folder:${hash.digest("hex")}`;
}

async function hashFile(path: string, stamp: string, known: Known): Promise<string> {
  if (known[path]?.stamp !== stamp) {
    const hash = createHash("sha256");
    for await (const piece of Bun.file(path).stream()) hash.update(piece);
    known[path] = { stamp, sha256: hash.digest("hex") };
  }
  return `file:${known[path].sha256}`;
}
