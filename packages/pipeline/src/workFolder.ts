import { mkdir, open, readdir, realpath, rename } from "node:fs/promises";
import { join, resolve } from "node:path";
import { workName } from "@safedelta/checkpoint";
import { PipelineError } from "./errors.ts";
import { guardFile, readJson, removeQuietly, stableJson } from "./files.ts";

/** What a state folder is at the start of a prepare. */
export type Claim = "fresh" | "resume" | "done";

const keyFile = "job.json";
const finishedFile = "state.json";

/** What prepare writes into a state folder, in the order in which it is taken away: without the first, it is no state. */
const stateNames = [finishedFile, "layers", "work", keyFile];

/**
 * What stands at the place of a state, looked at only: the fingerprint of its job, or nothing.
 * @throws PipelineError `usage` when it is not of prepare's making
 */
export async function findJob(folder: string): Promise<{ fingerprint: string; finished: boolean } | undefined> {
  const names = await readdir(folder).catch((): string[] => []);
  if (names.every((name) => name === `${keyFile}.part`)) return undefined;
  const found = names.includes(keyFile) ? await readJson<{ fingerprint?: unknown }>(join(folder, keyFile)) : undefined;
  if (typeof found?.fingerprint !== "string")
    throw occupied(folder, "is not empty and was not made by prepare, so it is never replaced", false);
  return { fingerprint: found.fingerprint, finished: names.includes(finishedFile) };
}

/**
 * Take a folder for a prepare that `fingerprint` names (hash of inputs, options and version).
 * `resume`: an interrupted run of the same job is there; `done`: it is finished.
 * @throws PipelineError `usage` when something else stands there and may not be replaced
 */
export async function claimFolder(folder: string, fingerprint: string, overwrite: boolean): Promise<Claim> {
  const found = await findJob(folder);
  if (found?.fingerprint === fingerprint) return found.finished ? "done" : "resume";
  if (found && !overwrite) throw occupied(folder, "holds the result of another model, other data or other options");
  return guardFile(folder, async (): Promise<Claim> => {
    for (const name of found ? stateNames : []) await removeQuietly(join(folder, name));
    await mkdir(folder, { recursive: true });
    await writeDurably(join(folder, keyFile), stableJson({ fingerprint }));
    return "fresh";
  });
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
  const inputs = await Promise.all([aligned, tuned].flatMap((spec) => [spec, ...spec.split("+")]).map(placeOf));
  if (inputs.includes(await placeOf(out)))
    throw new PipelineError("usage", `${out}: is an input of this repair. Choose another --out.`);
  const names = await readdir(out).catch((): string[] => []);
  if (names.includes(workName) || names.every((name) => name.startsWith("."))) return;
  if (!names.includes("safedelta.json"))
    throw occupied(out, "is not empty and holds no repaired model, so it is never replaced", false);
  if (overwrite) return;
  const next = `Look at it with: safedelta verify ${out}. To make it again add --overwrite, or choose another --out.`;
  throw new PipelineError("usage", `${out}: a finished repaired model is there already. ${next}`);
}

/** Remove what an apply that was killed after its very last rename left beside its finished output. */
export async function removeLeftover(out: string, beside: string): Promise<void> {
  const names = await readdir(out).catch((): string[] => []);
  if (names.includes("safedelta.json") && !names.includes(workName)) await removeQuietly(beside);
}

/** The path with its links followed, so that one folder has one name. */
function placeOf(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

/** Write a small file so that it is either whole or absent, whatever happens. @throws PipelineError as `guardFile` */
export function writeDurably(path: string, text: string): Promise<void> {
  return guardFile(path, async () => {
    const file = await open(`${path}.part`, "w");
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.part`, path);
  });
}
