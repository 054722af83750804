import type { Plan, Step } from "@safedelta/experiment";
import { wordsOf } from "@safedelta/experiment";
import { formatMs, table } from "@safedelta/report";
import type { Io } from "../io.ts";
import { readRecord } from "./records.ts";

/** Tell what would run, and how long the same steps took for other seeds and settings. */
export async function tellPlan(out: string, plan: Plan, due: readonly Step[], io: Io): Promise<undefined> {
  const guessMs = await guessesOf(out, plan);
  const steps = due.map((step) => ({ ...step, words: wordsOf(step), guessMs: guessMs(step) }));
  const rows = steps.map((step) => [
    step.title,
    step.command,
    step.guessMs === undefined ? "?" : formatMs(step.guessMs),
  ]);
  io.print(table(["step", "command", "time"], rows, { align: ["left", "left", "right"] }));
  const unknown = steps.filter((step) => step.guessMs === undefined).length;
  const totalMs = steps.reduce((sum, step) => sum + (step.guessMs ?? 0), 0);
  const rest = unknown > 0 ? `, and ${unknown} steps whose like has not run here` : "";
  io.print(
    `${plan.steps.size} steps, ${due.length} of them to do: about ${formatMs(totalMs)}${rest}\nnothing was written`,
  );
  io.document({ dryRun: true, out, nSteps: plan.steps.size, totalMs, nUnknown: unknown, steps });
  return undefined;
}

/** The mean time of the finished steps of the same name, or else of the same command. */
async function guessesOf(out: string, { steps }: Plan): Promise<(step: Step) => number | undefined> {
  const times = new Map<string, number[]>();
  for (const step of steps.values()) {
    const record = await readRecord(out, step);
    for (const key of record ? keysOf(step) : []) times.set(key, [...(times.get(key) ?? []), record?.ms ?? 0]);
  }
  return (step) => {
    const found = keysOf(step)
      .map((key) => times.get(key))
      .find((list) => list !== undefined);
    return found && found.reduce((sum, ms) => sum + ms, 0) / found.length;
  };
}

/** The step's own name, then its command; fine-tunings are too different to stand for each other. */
function keysOf({ id, command }: Step): string[] {
  const name = id.slice(0, id.lastIndexOf("-"));
  return command === "finetune" ? [name] : [name, command];
}
