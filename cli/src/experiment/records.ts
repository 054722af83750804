import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Standing, Step } from "@safedelta/experiment";
import { writeWhole } from "@safedelta/pipeline";

/** What is kept of a finished step. */
export interface StepRecord {
  readonly command: readonly string[];
  readonly ms: number;
  /** What the command said with --json, without the bulk. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Its model stays when it has been measured. */
  readonly isKept: boolean;
}

function pathOf(out: string, { id }: Step): string {
  return join(out, "done", `${id}.json`);
}

/** The record of a step; undefined where it has not run to its end. */
export async function readRecord(out: string, step: Step): Promise<StepRecord | undefined> {
  const text = await readFile(pathOf(out, step), "utf8").catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
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
