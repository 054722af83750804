import { type Plan, type Step, wordsOf } from "@safedelta/experiment";
import type { Device } from "@safedelta/pipeline";
import { formatBytes, formatMs, table } from "@safedelta/report";
import type { Io } from "../io.ts";
import { guessSteps } from "./guess.ts";

/** What a plan is told of. */
export interface PlannedRun {
  readonly out: string;
  readonly plan: Plan;
  readonly due: readonly Step[];
  readonly device: Device;
  readonly keepModels: boolean;
}

/** Tell what would run, how long it may take, and what it leaves on the disk. */
export async function tellPlan({ out, plan, due, device, keepModels }: PlannedRun, io: Io): Promise<undefined> {
  const guess = await guessSteps(out, plan, device);
  const steps = await Promise.all(
    due.map(async (step) => ({ ...step, words: wordsOf(step), guess: await guess(step) })),
  );
  const rows = steps.map(({ title, command, guess: { ms, bytes } }) => [
    ...[title, command, bytes === undefined ? "" : formatBytes(bytes), ms === undefined ? "?" : formatMs(ms)],
  ]);
  io.print(table(["step", "command", "size", "time"], rows, { align: ["left", "left", "right", "right"] }));
  const nUnknown = steps.filter((step) => step.guess.ms === undefined).length;
  const totalMs = steps.reduce((sum, step) => sum + (step.guess.ms ?? 0), 0);
  const kept = steps.filter(({ kind }) => kind !== "apply" || keepModels);
  const keptBytes = kept.reduce((sum, step) => sum + (step.guess.bytes ?? 0), 0);
  const known = `about ${formatMs(totalMs)} for ${due.length - nUnknown} of them at the least`;
  const rest = nUnknown > 0 ? `; nothing tells of the other ${nUnknown} before their like has run here` : "";
  io.print(
    `${plan.steps.size} steps, ${due.length} of them to do: ${known}${rest}; ${formatBytes(keptBytes)} of models and states stay`,
  );
  io.print("nothing was written");
  io.document({ dryRun: true, out, nSteps: plan.steps.size, totalMs, nUnknown, keptBytes, steps });
  return undefined;
}
