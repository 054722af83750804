import { rm } from "node:fs/promises";
import { dueSteps, type Plan, type Step } from "@safedelta/experiment";
import { formatMs } from "@safedelta/report";
import { onEnding } from "../ending.ts";
import type { Io } from "../io.ts";
import { placeOf } from "./faults.ts";
import { isDamaged, readRecord, standingOf, writeRecord } from "./records.ts";
import { type RunningStep, type StepEnd, type StepPlace, startStep } from "./runStep.ts";
import { type RunEnd, runSteps } from "./runSteps.ts";

/** How a run goes about its steps. */
export interface RunSettings extends Omit<StepPlace, "onLine"> {
  readonly jobs: number;
  readonly keepModels: boolean;
}

/** What is kept of a command's document; the rest is in what it wrote. */
const keptFacts = ["file", "metrics", "totals", "peakMemoryBytes", "sha256", "nExamples", "nKept"];

/** How often a long step is told of. */
const tellMs = 30_000;

/** The steps of a plan that have to run. */
export async function whatIsDue(out: string, plan: Plan): Promise<Step[]> {
  const steps = [...plan.steps.values()];
  const standing = await Promise.all(steps.map(async (step) => [step.id, await standingOf(out, step)] as const));
  const wanted = plan.cells.flatMap(({ evalStep, applyStep }) => [evalStep, ...(applyStep ? [applyStep] : [])]);
  return dueSteps(plan.steps, wanted, new Map(standing));
}

/** Run what has to run; undefined when it was interrupted. */
export async function runExperiment(
  plan: Plan,
  due: readonly Step[],
  settings: RunSettings,
  io: Io,
): Promise<RunEnd | undefined> {
  const running = new Map<string, RunningStep>();
  let [isStopped, nStarted] = [false, 0];
  onEnding(() => {
    isStopped = true;
    for (const step of running.values()) step.interrupt();
  });
  const told = new Map<string, number>();
  const onLine = (step: Step, line: string) => {
    if (Date.now() - (told.get(step.id) ?? 0) < tellMs) return;
    told.set(step.id, Date.now());
    io.note(`  ${step.title}: ${line}`);
  };
  const run = async (step: Step) => {
    const number = ++nStarted;
    told.set(step.id, Date.now());
    await dropDamaged(settings.out, step, io);
    const child = startStep(step, { ...settings, onLine });
    running.set(step.id, child);
    const end = await child.end;
    running.delete(step.id);
    if (end.document === undefined) {
      if (!isStopped) io.progress.warn(failure(step, end));
      return false;
    }
    const document = Object.fromEntries(Object.entries(end.document).filter(([key]) => keptFacts.includes(key)));
    const { command } = step;
    const { ms } = end;
    // Paths of what is made here are told as they stand in the folder, which may be moved.
    const warnings = end.warnings.map((warning) => warning.replaceAll(`${settings.out}/`, ""));
    const isKept = settings.keepModels;
    await writeRecord(settings.out, step, { command: [command, ...step.args], ms, document, isKept, warnings });
    for (const warning of warnings) io.progress.warn(`${placeOf(step)}: ${warning}`);
    io.note(`[${number}/${due.length}] ${command} ${step.title}: ${formatMs(end.ms)}`);
    await dropMeasured(plan, step, settings.out);
    return true;
  };
  const end = await runSteps(due, settings.jobs, run, () => isStopped);
  return isStopped ? undefined : end;
}

function failure({ title, command }: Step, { code, log, tail }: StepEnd): string {
  return `${command} ${title} ended with code ${code}; what needs it is left out. Its log: ${log}\n${tail.split("\n").slice(-5).join("\n")}`;
}

/** What is no longer as it was made would be in the way of its step, which makes it again. */
async function dropDamaged(out: string, step: Step, io: Io): Promise<void> {
  if (!(await isDamaged(out, step))) return;
  io.progress.warn(`${step.artefact}: has another size than when ${step.title} made it; it is made again`);
  await rm(step.artefact, { recursive: true, force: true });
}

/** Repaired models are large and quickly made again: each goes when everything that reads it is done. */
async function dropMeasured({ steps }: Plan, { needs }: Step, out: string): Promise<void> {
  for (const id of needs) {
    const step = steps.get(id);
    if (step?.kind !== "apply" || (await readRecord(out, step))?.isKept) continue;
    const readers = [...steps.values()].filter((reader) => reader.needs.includes(id));
    const records = await Promise.all(readers.map((reader) => readRecord(out, reader)));
    if (records.every((record) => record !== undefined)) await rm(step.artefact, { recursive: true, force: true });
  }
}
