import { join } from "node:path";
import { isTrainingOutput, type Verification, verifyOutput, verifyTraining } from "@safedelta/pipeline";
import { reportProblems, type SavedReport, wasAltered } from "@safedelta/report";
import { defineCommand, required } from "../command.ts";
import { exitCode, UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { openTold } from "../openTold.ts";
import { computeOptions, engineOptions, option } from "../options.ts";

/** `safedelta verify OUT` */
export const verifyCommand = defineCommand({
  worker: "verify",
  brief: "Check that a repaired or fine-tuned model is still what was written",
  help:
    "Compares every tensor and file with the hashes in safedelta.json; and where the two input models and the state are at hand, " +
    "computes its numbers again. Of what finetune wrote: the hashes in training.json, and the model it was trained from. A changed README.md or report.html is told, but is no fault.",
  args: ["FOLDER"],
  options: {
    state: option.path({ brief: "the state of the repair [the one named in safedelta.json]", placeholder: "folder" }),
    ...engineOptions,
    offline: computeOptions.offline,
  },
  async run(options, [path], io) {
    const folder = required(path, "FOLDER");
    if (await isTrainingOutput(folder)) return trained(options, folder, io);
    if (wasAltered(await readSaved(folder).catch(() => undefined))) return altered(folder, io);
    using engine = await openTold(options, io);
    const { problems: found, ...result } = await verifyOutput(engine, { ...options, folder }, io.progress);
    const problems = [...reportProblems(await readSaved(folder)), ...found];
    return tell(io, { ...result, problems }, whatElse(result));
  },
});

/** @throws UsageError for a state, of which a fine-tuning has none */
async function trained(options: { state?: string; offline: boolean }, folder: string, io: Io): Promise<number> {
  if (options.state !== undefined)
    throw new UsageError(`--state: ${folder} was written by finetune, which has no state. Leave it away.`);
  const result = await verifyTraining({ ...options, folder }, io.progress);
  const { inputsChecked, inputsProblem } = result;
  return tell(
    io,
    result,
    inputsChecked
      ? "the model it was trained from was checked"
      : `the model it was trained from was not checked (${inputsProblem})`,
  );
}

type Told = Pick<Verification, "nTensors" | "nFiles" | "problems" | "notes">;

function tell(io: Io, result: Told, rest: string): number {
  const { problems, nTensors, nFiles } = result;
  io.document({ ok: problems.length === 0, ...result });
  for (const problem of problems) io.print(`problem: ${problem}`);
  for (const note of result.notes) io.print(`note: ${note}`);
  io.print(`${nTensors} tensors, ${nFiles} files, ${problems.length} problems; ${rest}`);
  return problems.length === 0 ? exitCode.done : exitCode.failure;
}

function readSaved(folder: string): Promise<SavedReport> {
  return Bun.file(join(folder, "safedelta.json")).json();
}

/** Nothing is compared with hashes and numbers that are not those that were written. */
function altered(folder: string, io: Io): number {
  const problems = ["safedelta.json was changed after it was written."];
  io.document({ ok: false, problems });
  io.print(`problem: ${problems[0]}`);
  io.print(`${folder}: nothing else was checked, since its hashes and numbers are in that file`);
  return exitCode.failure;
}

function whatElse(result: Omit<Verification, "problems">): string {
  if (!result.inputsChecked) return `the input models were not checked (${result.inputsProblem})`;
  const state = result.stateChecked ? "the state" : `not all of the state's (${result.stateProblem})`;
  return `both inputs and ${result.nNumbers} numbers were checked, with ${state}`;
}
