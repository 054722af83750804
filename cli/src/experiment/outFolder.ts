import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Plan } from "@safedelta/experiment";
import { isLocked, type WorkUnderWay, writeWhole } from "@safedelta/pipeline";
import { UsageError } from "../exitCode.ts";

/** Says that a folder is an experiment's. */
const markFile = "experiment.json";

/** What that file holds. */
interface Mark {
  readonly madeBy: string;
  /** Ids of the steps, for those who watch. */
  readonly steps: readonly string[];
}

/**
 * Take the folder of an experiment: a new one, or one that an experiment made, whose finished steps count.
 * @throws UsageError when it holds anything else
 */
export async function claimFolder(out: string, { steps }: Plan): Promise<void> {
  await requireOurs(out);
  const mark: Mark = { madeBy: "safedelta experiment", steps: [...steps.keys()] };
  await writeWhole(join(out, markFile), `${JSON.stringify(mark, null, 2)}\n`);
}

/** How many steps of an experiment have run; undefined where the folder is none's. */
export async function experimentUnderWay(folder: string): Promise<WorkUnderWay | undefined> {
  const text = await readFile(join(folder, markFile), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const { steps = [] }: Partial<Mark> = JSON.parse(text);
  const done = new Set(await readdir(join(folder, "done")).catch((): string[] => []));
  const nDone = steps.filter((id) => done.has(`${id}.json`)).length;
  const isWhole = nDone === steps.length && (await Bun.file(join(folder, "results.json")).exists());
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
