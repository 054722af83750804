import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Standing, Step } from "@safedelta/experiment";
import { writeWhole } from "@safedelta/pipeline";
import { z } from "zod";
import { savedJson } from "./savedJson.ts";

const stepRecord = z.object({
  command: z.array(z.string()),
  ms: z.number(),
  /** What the command said with --json, without the bulk. */
  document: z.record(z.string(), z.unknown()),
  /** Its model stays when it has been measured. */
  isKept: z.boolean(),
});

/** What is kept of a finished step. */
export type StepRecord = Readonly<z.infer<typeof stepRecord>>;

function pathOf(out: string, { id }: Step): string {
  return join(out, "done", `${id}.json`);
}

/** The record of a step; undefined where it has not run to its end. @throws UsageError when it is damaged */
export function readRecord(out: string, step: Step): Promise<StepRecord | undefined> {
  return savedJson(pathOf(out, step), stepRecord);
}

export async function writeRecord(out: string, step: Step, record: StepRecord): Promise<void> {
  await mkdir(join(out, "done"), { recursive: true });
  await writeWhole(pathOf(out, step), `${JSON.stringify(record, null, 2)}\n`);
}

/** What stands on the disk of a step. */
export async function standingOf(out: string, step: Step): Promise<Standing> {
  const [record, found] = await Promise.all([readRecord(out, step), stat(step.artefact).catch(() => undefined)]);
  return { isDone: record !== undefined, isThere: found !== undefined };
}
