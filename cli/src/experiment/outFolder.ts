import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Plan } from "@safedelta/experiment";
import { type EngineStamp, isLocked, type WorkUnderWay, writeWhole } from "@safedelta/pipeline";
import { z } from "zod";
import { UsageError } from "../exitCode.ts";
import { savedJson } from "./savedJson.ts";

/** Says that a folder is an experiment's. */
const markFile = "experiment.json";
/** Where the table of some rows alone is written. */
export const partFolder = "part";
const madeBy = "safedelta experiment";

/** What that file holds; those of earlier versions hold less. */
const savedMark = z
  .object({
    madeBy: z.string(),
    /** Ids of the steps, for those who watch. */
    steps: z.array(z.string()),
    version: z.string(),
    engine: z.object({ name: z.string(), version: z.string(), description: z.string() }),
  })
  .partial();

/** What besides its words decides what a step makes. */
export interface Stamp {
  readonly version: string;
  readonly engine: EngineStamp;
}

/**
 * Take the folder of an experiment: a new one, or one that an experiment made, whose finished steps count.
 * @throws UsageError when it holds anything else
 */
export async function claimFolder(out: string, { steps }: Plan, stamp: Stamp): Promise<void> {
  await requireOurs(out);
  const mark: z.infer<typeof savedMark> = { madeBy, ...stamp, steps: [...steps.keys()] };
  await writeWhole(join(out, markFile), `${JSON.stringify(mark, null, 2)}\n`);
}

/** Why steps that have run here do not count under another stamp; undefined where they do, or none has run. */
export async function whyAgain(out: string, { version, engine }: Stamp): Promise<string | undefined> {
  const mark = await readMark(out);
  if (mark?.engine === undefined || (await finishedSteps(out)).size === 0) return undefined;
  const nameOf = ({ name, version, description }: Readonly<Record<keyof EngineStamp, string>>) =>
    `${name} (${description}, ${version})`;
  const [before, now] = [mark.engine, engine].map(nameOf);
  if (mark.version !== version)
    return `${out}: its last run was by version ${mark.version}; what that made does not count for version ${version}`;
  if (before === now) return undefined;
  const back = mark.engine.name === engine.name ? "" : `, but does with --engine ${mark.engine.name}`;
  return `${out}: its last run was on the engine ${before}; what that made does not count on ${now}${back}`;
}

function readMark(out: string) {
  const advice = `Put ${JSON.stringify({ madeBy })} into it, and the same command goes on.`;
  return savedJson(join(out, markFile), savedMark, advice);
}

async function finishedSteps(out: string): Promise<Set<string>> {
  return new Set(await readdir(join(out, "done")).catch((): string[] => []));
}

/** How many steps of an experiment have run; undefined where the folder is none's. */
export async function experimentUnderWay(folder: string): Promise<WorkUnderWay | undefined> {
  const mark = await readMark(folder);
  if (mark === undefined) return undefined;
  const { steps = [] } = mark;
  const done = await finishedSteps(folder);
  const nDone = steps.filter((id) => done.has(`${id}.json`)).length;
  const tables = [folder, join(folder, partFolder)].map((place) => Bun.file(join(place, "results.json")).exists());
  const isWhole = nDone === steps.length && (await Promise.all(tables)).includes(true);
  const state = isWhole ? "finished" : (await isLocked(folder)) ? "running" : "stopped";
  return { folder, what: "experiment", nDone, nAll: steps.length, state };
}

/** @throws UsageError when a folder holds what no experiment made */
export async function requireOurs(out: string): Promise<void> {
  const all = await readdir(out).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const names = all.filter((name) => !name.startsWith("."));
  if (names.length === 0 || names.includes(markFile)) return;
  throw new UsageError(`${out}: is not empty and was not made by experiment. Choose another --out.`);
}
