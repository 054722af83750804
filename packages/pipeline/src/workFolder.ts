import { mkdir, open, readdir, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { PipelineError } from "./errors.ts";
import { readJson, removeQuietly, stableJson } from "./files.ts";

/** What a folder of ours is at the start of a run. */
export type Claim = "fresh" | "resume" | "done";

const keyFile = "job.json";

/**
 * Take a folder for a job that `fingerprint` names (hash of inputs, options and version).
 * `resume`: an interrupted run of the same job is there; `done`: `finishedFile` says that the job is finished.
 * @throws PipelineError `usage` when something else stands there and may not be replaced
 */
export async function claimFolder(
  folder: string,
  fingerprint: string,
  finishedFile: string,
  overwrite: boolean,
): Promise<Claim> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.includes(keyFile)) {
    const found = await readJson<{ fingerprint: string }>(join(folder, keyFile));
    if (found.fingerprint === fingerprint) return names.includes(finishedFile) ? "done" : "resume";
    if (!overwrite) throw occupied(folder, "holds the result of another model, other data or other options");
    await removeQuietly(folder);
  } else if (names.length > 0) {
    throw occupied(folder, "is not empty and was not made by this command, so it is never replaced", false);
  }
  await mkdir(folder, { recursive: true });
  await writeDurably(join(folder, keyFile), stableJson({ fingerprint }));
  return "fresh";
}

function occupied(folder: string, what: string, mayOverwrite = true): PipelineError {
  const next = mayOverwrite ? "Choose another --out, or add --overwrite." : "Choose another --out.";
  return new PipelineError("usage", `${folder}: ${what}. ${next}`);
}

/** Where a repaired model goes, and what must not be overwritten by it. */
interface Output {
  readonly out: string;
  readonly aligned: string;
  readonly tuned: string;
  readonly overwrite: boolean;
}

/**
 * Check before any work that an output folder may be written. Unfinished work in it is judged later, by its writer.
 * @throws PipelineError `usage` when it holds an input, something of someone else, or a result and `overwrite` is false
 */
export async function requireFreeOutput({ out, aligned, tuned, overwrite }: Output): Promise<void> {
  const inputs = [aligned, tuned].flatMap((spec) => spec.split("+")).map((path) => resolve(path));
  if (inputs.includes(resolve(out)))
    throw new PipelineError("usage", `${out}: is an input of this repair. Choose another --out.`);
  const names = (await readdir(out).catch((): string[] => [])).filter((name) => !name.startsWith("."));
  if (names.length === 0) return;
  if (!names.includes("safedelta.json"))
    throw occupied(out, "is not empty and holds no repaired model, so it is never replaced", false);
  if (!overwrite) throw occupied(out, "holds a repaired model");
}

/** Write a small file so that it is either whole or absent, whatever happens. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.part`, "w");
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.part`, path);
}
