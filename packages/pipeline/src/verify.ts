import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Mode } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { PipelineError } from "./errors.ts";
import { readJson } from "./files.ts";
import { hashModel, type OpenedModel, openModelFiles } from "./models.ts";
import type { Progress } from "./progress.ts";
import type { RivalChoice } from "./rivals.ts";
import { ownCommand } from "./shell.ts";
import { openState, type State } from "./state.ts";
import { whatIsUnfinished } from "./unfinished.ts";
import { checkFiles, checkTensors, type WrittenFiles } from "./verifyFiles.ts";
import { checkDistances, checkEstimates, checkLinears, type Inputs, type Numbers } from "./verifyNumbers.ts";

/** What `verify` needs to know of safedelta.json. */
export interface Recorded extends Pick<WrittenFiles, "tensors" | "files"> {
  readonly aligned: { readonly spec: string; readonly hash: string };
  readonly tuned: { readonly spec: string; readonly hash: string };
  readonly third?: { readonly spec: string; readonly hash: string };
  /** Of Safe Delta. */
  readonly mode?: Mode;
  readonly budget?: { readonly kind: string; readonly value: number };
  /** In the place of both. */
  readonly rival?: RivalChoice & { readonly seed?: number };
  readonly state: { readonly hash: string };
  readonly safeData: Numbers;
  readonly taskData?: unknown;
  readonly recipe: { readonly state?: string };
  readonly layers: readonly { readonly layer: number; readonly linears: readonly Numbers[] }[];
}

/** What is to be verified, and with what. */
export interface VerifyOptions {
  readonly folder: string;
  readonly offline: boolean;
  /** The state of the repair; without it the one that safedelta.json names, if it is there. */
  readonly state?: string;
}

/** What was checked, and what does not hold. */
export interface Verification {
  readonly nTensors: number;
  readonly nFiles: number;
  /** False: the models named in safedelta.json are not here, so only the output's own hashes were checked. */
  readonly inputsChecked: boolean;
  /** Why not. */
  readonly inputsProblem?: string;
  /** False: losses, budgets and dials were not computed again. */
  readonly stateChecked: boolean;
  /** Why not. */
  readonly stateProblem?: string;
  /** Numbers of linears that were computed again. */
  readonly nNumbers: number;
  readonly problems: readonly string[];
  /** What differs and may. */
  readonly notes: readonly string[];
}

/**
 * Check a repaired model or adapter: the hash of every tensor and file; where both input models are at hand, their hashes and the
 * distances of each linear; and where the state is, too, every other number of each linear, by repairing it again.
 * @throws PipelineError `incompatible` when there is no such folder, it holds no safedelta.json or is unfinished, or when the given
 * state is another one
 */
export async function verifyOutput(engine: Engine, options: VerifyOptions, progress: Progress): Promise<Verification> {
  const recorded = await readRecorded(options.folder);
  const notes: string[] = [];
  const problems = [
    ...(await checkTensors(options, ofRepair(recorded), progress)),
    ...(await checkFiles(options.folder, ofRepair(recorded), notes)),
  ];
  const counts = {
    nTensors: Object.keys(recorded.tensors).length,
    nFiles: Object.keys(recorded.files).length,
    problems,
    notes,
  };
  const unchecked = { inputsChecked: false, stateChecked: false, nNumbers: 0 };
  if (problems.length > 0) return { ...counts, ...unchecked, inputsProblem: "the output is not what was written" };
  await using opened = new AsyncDisposableStack();
  const inputs = await openInputs(options, recorded, opened, notes, progress);
  if (typeof inputs === "string") return { ...counts, ...unchecked, inputsProblem: inputs };
  problems.push(...(await checkInputs(recorded, inputs, progress)), ...checkLinears(recorded, inputs));
  if (problems.length > 0) return { ...counts, ...unchecked, inputsProblem: "they do not fit what is recorded" };
  const state = await findState(options, recorded);
  const found =
    typeof state === "string"
      ? await checkDistances(recorded, inputs, progress)
      : await checkEstimates(engine, recorded, inputs, state, progress);
  problems.push(...found.problems);
  const stateProblem = typeof state === "string" ? state : found.unchecked;
  return { ...counts, inputsChecked: true, stateChecked: stateProblem === undefined, stateProblem, nNumbers: found.n };
}

/**
 * What of a finished output is not as its safedelta.json says: tensors and files, not its numbers. A model card may have been edited.
 * @throws PipelineError as `verifyOutput`
 */
export async function outputProblems(
  { out, offline }: { readonly out: string; readonly offline: boolean },
  progress: Progress,
): Promise<string[]> {
  const written = ofRepair(await readRecorded(out));
  const tensors = await checkTensors({ folder: out, offline }, written, progress);
  return [...tensors, ...(await checkFiles(out, written, []))];
}

function ofRepair({ tensors, files }: Recorded): WrittenFiles {
  return { record: "safedelta.json", tensors, files };
}

/** @throws PipelineError as `verifyOutput` */
async function readRecorded(folder: string): Promise<Recorded> {
  const path = join(folder, "safedelta.json");
  if (!(await Bun.file(path).exists())) throw await whyNoResult(folder);
  const recorded = await readJson<Recorded | null>(path);
  const { aligned, tuned, tensors, files, layers, state, budget, rival, safeData, recipe } = recorded ?? {};
  const parts = [aligned, tuned, tensors, files, state, budget ?? rival, safeData, recipe];
  if (recorded && parts.every((part) => typeof part === "object" && part !== null) && Array.isArray(layers))
    return recorded;
  const what = "is damaged or of a former version, parts of it are missing";
  throw new PipelineError(
    "incompatible",
    `${path}: ${what}. Make the model again: ${ownCommand(["apply"])} with the options of its run.`,
  );
}

async function whyNoResult(folder: string): Promise<PipelineError> {
  const found = await stat(folder).catch(() => undefined);
  const none = found === undefined ? "there is no such folder" : "is a file";
  if (!found?.isDirectory())
    return new PipelineError("incompatible", `${folder}: ${none}; name the folder that apply wrote.`);
  const unfinished = await whatIsUnfinished(folder);
  if (unfinished !== undefined) return new PipelineError("incompatible", unfinished);
  return new PipelineError(
    "incompatible",
    `${folder}: has neither safedelta.json nor training.json, so no output lies right in it; name the folder that apply or finetune wrote.`,
  );
}

/** Both input models and the output on top of the first, or why they cannot be opened. */
async function openInputs(
  { folder, offline }: VerifyOptions,
  { aligned, tuned, third, rival }: Recorded,
  opened: AsyncDisposableStack,
  notes: string[],
  progress: Progress,
): Promise<Inputs | string> {
  try {
    const first = opened.use(await openModelFiles(aligned.spec, offline, progress));
    const open = async (spec: string): Promise<OpenedModel> =>
      opened.use(await openModelFiles(spec, offline, progress, first.checkpoint));
    const [second, repaired] = [await open(tuned.spec), await open(folder)];
    // What task data went through is not needed to check anything but its own hash.
    const tell = (error: Error) => {
      notes.push(error.message);
      return undefined;
    };
    const beside = third && (rival ? await open(third.spec) : await open(third.spec).catch(tell));
    return { aligned: first, tuned: second, third: beside, repaired };
  } catch (error) {
    return (error as Error).message;
  }
}

async function checkInputs(recorded: Recorded, inputs: Inputs, progress: Progress): Promise<string[]> {
  const problems: string[] = [];
  progress.stage("hashing the inputs", inputs.third ? 3 : 2);
  for (const role of ["aligned", "tuned", "third"] as const) {
    const [model, known] = [inputs[role], recorded[role]];
    if (!model || !known) continue;
    const found = await hashModel(model, inputs.aligned.checkpoint);
    if (found.sha256 !== known.hash) problems.push(`The ${role} model ${known.spec} has changed.`);
    progress.step(role);
  }
  return problems;
}

/** The state of the repair, or why it is not at hand. @throws PipelineError for a state that was given and is not it */
async function findState({ state }: VerifyOptions, recorded: Recorded): Promise<State | string> {
  const { hash } = recorded.state;
  if (state !== undefined) {
    const given = await openState(state);
    if (given.sha256 === hash) return given;
    throw new PipelineError(
      "incompatible",
      `${state}: is not the state of this repair, which safedelta.json calls ${hash}.`,
    );
  }
  const named = recorded.recipe.state;
  if (named === undefined)
    return `it was prepared on the way; prepare it again with the options of safedelta.json and --modes ${recorded.mode ?? "optimal"}, and give it with --state`;
  const found = await openState(named).catch((error: Error) => error.message);
  if (typeof found === "string") return found;
  return found.sha256 === hash ? found : `${named} holds another state now; give the right one with --state`;
}
