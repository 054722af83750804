import { open, readdir, realpath, rename } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isMoved, workName } from "@safedelta/checkpoint";
import { groupNames } from "@safedelta/model";
import { PipelineError } from "./errors.ts";
import { guardFile, readJson, removeAtOnce, removeQuietly, requireNoDeadLink } from "./files.ts";
import { fingerprintOf, jobOfState, type PrepareJob } from "./job.ts";
import { isLock, lockFolder } from "./lock.ts";
import { shellLine } from "./shell.ts";
import { checkManifest } from "./state.ts";

/** What stands at the place of a state. */
export interface Standing {
  /** What the whole state there was made by; `damaged` for that, and for one of a former format. */
  readonly state?: PrepareJob | "damaged";
  /** Fingerprint of the job that is under way there. */
  readonly job?: string;
}

export const jobFile = "job.json";
const finishedFile = "state.json";
/** Where prepare works; what is in it becomes the state in one go at the end, so a former state serves until then. */
const unfinished = "work";
/** What prepare writes; job.json lay here in former formats. */
const stateNames = [finishedFile, "layers", unfinished, jobFile];

/** What a work folder that is being made or taken away may hold. */
const workFile = /^(job\.json|state\.json|hidden-\d+\.(f32|sums))(\.part)?$|^layers$/;

/** What the file of a job tells besides the job. */
interface WorkSize {
  readonly nLayers: number;
}

/** Folder of a state that is being made. */
export function workOf(state: string): string {
  return join(state, unfinished);
}

/**
 * What stands at the place of a state, looked at only.
 * @throws PipelineError `usage` when it is not of prepare's making
 */
export async function findStanding(folder: string): Promise<Standing> {
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => !isLock(name));
  const job = await readJob(join(workOf(folder), jobFile));
  const state = names.includes(finishedFile) ? await readState(join(folder, finishedFile)) : undefined;
  const work = await readdir(workOf(folder)).catch((): string[] => []);
  const begun = names.every((name) => name === unfinished) && work.every((name) => workFile.test(name));
  const marked = job !== undefined || names.includes(jobFile) || (state !== undefined && names.includes("layers"));
  const foreign = names.filter((name) => !stateNames.includes(name));
  if (marked && foreign.length > 0)
    throw new PipelineError(
      "usage",
      `${folder}: ${foreign[0]} is not prepare's. Move it away, or choose another --out.`,
    );
  if (!begun && !marked)
    throw occupied(folder, "is not empty and was not made by prepare, so it is never replaced", false);
  return { state, job: job && fingerprintOf(job) };
}

/** Undefined when the file is not there, cannot be read, or holds no job. */
async function readJob(path: string): Promise<PrepareJob | undefined> {
  const { nLayers: _, ...found } =
    (await readJson<Partial<PrepareJob & WorkSize> | null>(path).catch(() => null)) ?? {};
  const hasParts = groupNames.every((name) => Array.isArray(found.parts?.[name]));
  return found.data && found.engine && hasParts ? (found as PrepareJob) : undefined;
}

async function readState(path: string): Promise<PrepareJob | "damaged"> {
  try {
    return jobOfState(checkManifest(path, await readJson(path)));
  } catch {
    return "damaged";
  }
}

/**
 * Put what stands whole in the work folder (its state.json says so) in the place of the state. May be killed anywhere and called
 * again; does nothing when the work is not whole.
 */
export async function publishState(folder: string): Promise<void> {
  const work = workOf(folder);
  if (!(await Bun.file(join(work, finishedFile)).exists())) return;
  await guardFile(folder, async () => {
    if ((await readdir(work)).includes("layers")) {
      for (const name of [finishedFile, "layers", jobFile]) await removeQuietly(join(folder, name));
      await rename(join(work, "layers"), join(folder, "layers"));
    }
    await rename(join(work, finishedFile), join(folder, finishedFile));
  });
  await removeQuietly(work);
}

function occupied(folder: string, what: string, mayOverwrite = true): PipelineError {
  const next = mayOverwrite ? "Choose another --out, or add --overwrite." : "Choose another --out.";
  return new PipelineError("usage", `${folder}: ${what}. ${next}`);
}

/** Where a model goes, and what must not be overwritten by it. */
interface Output {
  readonly out: string;
  /** Models that it is made from, as the user spelled them. */
  readonly inputs: readonly string[];
  readonly overwrite: boolean;
  readonly kind: OutputKind;
}

/** What kind of model a folder is for, and the file that tells a finished one. */
export interface OutputKind {
  readonly mark: string;
  /** In words: "repaired". */
  readonly name: string;
  /** What is done to the inputs: "repair". */
  readonly work: string;
  /** The command that looks at one. */
  readonly look: string;
}

export const repairedOutput: OutputKind = { mark: "safedelta.json", name: "repaired", work: "repair", look: "verify" };
export const tunedOutput: OutputKind = {
  mark: "training.json",
  name: "fine-tuned",
  work: "fine-tuning",
  look: "inspect",
};

/**
 * Check before any work that an output folder may be written. Unfinished work in it is judged later, by its writer.
 * @throws PipelineError `usage` when it holds an input, something of someone else, or a result and `overwrite` is false
 */
export async function requireFreeOutput({ out, inputs, overwrite, kind }: Output): Promise<void> {
  await requireNoDeadLink(out);
  const places = await Promise.all(inputs.flatMap((spec) => [spec, ...spec.split("+")]).map(placeOf));
  const [place, refuse] = [
    await placeOf(out),
    (what: string) => new PipelineError("usage", `${out}: ${what}. Choose another --out.`),
  ];
  if (places.includes(place)) throw refuse(`is an input of this ${kind.work}`);
  const around = places.find((input) => place.startsWith(`${input}/`));
  if (around !== undefined) throw refuse(`lies in ${around}, an input of this ${kind.work}`);
  const names = await readdir(out).catch((): string[] => []);
  if ((await holdsWork(out)) || names.every((name) => name.startsWith("."))) return;
  if (!names.includes(kind.mark))
    throw occupied(out, `is not empty and holds no ${kind.name} model, so it is never replaced`, false);
  if (overwrite) return;
  const next = `Look at it with: ${shellLine(["bun", "run", "safedelta", kind.look, out])}. To make it again add --overwrite, or choose another --out.`;
  throw new PipelineError("usage", `${out}: a finished ${kind.name} model is there already. ${next}`);
}

/** @throws PipelineError `usage` when an output would lie in the folder of the state that it is made from */
export async function requireOutside(out: string, state: string): Promise<void> {
  const [inner, outer] = [await placeOf(dirname(resolve(out))), await placeOf(state)];
  if (inner !== outer && !inner.startsWith(`${outer}/`)) return;
  throw new PipelineError(
    "usage",
    `${out}: lies in the state ${state}, which holds nothing else. Choose another --out.`,
  );
}

/**
 * Remove what a run that was killed after its very last rename left of its work: its lock, what had moved, the folder beside.
 * @throws PipelineError `usage` when another run works there
 */
export async function removeLeftover(out: string, { mark }: OutputKind): Promise<void> {
  const names = await readdir(out).catch((): string[] => []);
  if (!names.includes(mark) || !names.some((name) => name === workName || isLock(name))) return;
  await using _lock = await lockFolder(out); // takes dead locks away
  if (!names.includes(workName) || (await holdsWork(out))) return;
  await removeAtOnce(besideOf(out));
  await removeQuietly(join(out, workName));
}

/** Where a run keeps what it needs again when it is repeated: beside the output, which holds nothing unfinished but the writer's work. */
export function besideOf(out: string): string {
  return `${out.replace(/\/+$/, "")}${workName}`;
}

/**
 * The folder beside an output is taken away when the run ends, so nothing else may lie there.
 * @throws PipelineError `usage` naming what is not of this kind of run: another command's work, or someone's own
 */
export async function requireOwnBeside(out: string, isOwn: (name: string) => boolean): Promise<void> {
  const beside = besideOf(out);
  const foreign = (await readdir(beside).catch((): string[] => [])).find((name) => !isOwn(name));
  if (foreign === undefined) return;
  const next = "Repeat the command that left it to finish it, move it away, or choose another --out.";
  throw new PipelineError("usage", `${beside}: holds ${foreign}, which is not of this command. ${next}`);
}

/** Unfinished work lies in an output folder. One whose files have moved, or that never had any, is the last trace of a finished one. */
async function holdsWork(out: string): Promise<boolean> {
  if (await isMoved(out)) return false;
  const entries = await readdir(join(out, workName), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.some((entry) => entry.isFile());
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
