import { mkdir, readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
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
  /** Size of what it made; earlier runs did not keep it. */
  bytes: z.number().optional(),
  /** What it warned of; earlier runs did not keep it. */
  warnings: z.array(z.string()).readonly().optional(),
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

/** Keep the record of a step, with the size of what it made. */
export async function writeRecord(out: string, step: Step, record: Omit<StepRecord, "bytes">): Promise<void> {
  await mkdir(join(out, "done"), { recursive: true });
  const kept = { ...record, bytes: await bytesAt(step.artefact) };
  await writeWhole(pathOf(out, step), `${JSON.stringify(kept, null, 2)}\n`);
}

/** What stands on the disk of a step; what is damaged counts as gone, and an evaluation is nothing without its results. */
export async function standingOf(out: string, step: Step): Promise<Standing> {
  const { record, bytes, isDamaged } = await lookAt(out, step);
  const isThere = bytes !== undefined && !isDamaged;
  return { isDone: record !== undefined && (step.kind !== "eval" || isThere), isThere };
}

/** Whether what a finished step made has another size than when it was made: cut off, or files of it removed. */
export async function isDamaged(out: string, step: Step): Promise<boolean> {
  return (await lookAt(out, step)).isDamaged;
}

async function lookAt(out: string, step: Step) {
  const [record, bytes] = await Promise.all([readRecord(out, step), bytesAt(step.artefact)]);
  const isDamaged = record?.bytes !== undefined && bytes !== undefined && bytes !== record.bytes;
  return { record, bytes, isDamaged };
}

/** Bytes of a file, or of all files in a folder but hidden ones and those in hidden folders, which readers, systems and interrupted work leave; undefined where nothing else is. */
async function bytesAt(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return found?.size;
  const isHidden = (name: string) => name.split(sep).some((part) => part.startsWith("."));
  const names = (await readdir(path, { recursive: true })).filter((name) => !isHidden(name));
  const files = (await Promise.all(names.map((name) => stat(join(path, name))))).filter((entry) => entry.isFile());
  return files.length === 0 ? undefined : files.reduce((sum, { size }) => sum + size, 0);
}
