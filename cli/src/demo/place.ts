import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { guardFile } from "@safedelta/pipeline";
import { UsageError } from "../exitCode.ts";

/** Says that a folder is the demo's, so that what the demo writes in it may be replaced. */
const markFile = "demo.json";
const mark = `${JSON.stringify({ madeBy: "safedelta demo" }, null, 2)}\n`;

/** What the demo writes. */
const results = ["optimal", "optimal-task", "reference", "state", "sweep"];

/**
 * Take the folder that the demo writes into: a new one, or one that a demo made, whose results are taken away.
 * @throws UsageError when it holds anything else, which is never replaced; PipelineError when it may not be written
 */
export async function claimDemoFolder(out: string): Promise<void> {
  const all = (await orAbsent(readdir(out))) ?? [];
  const names = all.filter((name) => !name.startsWith("."));
  if (names.length > 0 && !(await isMarked(out)))
    throw new UsageError(
      `${out}: is not empty and was not made by demo, so nothing in it is replaced. Choose another --out.`,
    );
  await guardFile(out, async () => {
    await mkdir(out, { recursive: true });
    await writeFile(join(out, markFile), mark);
    for (const name of results) await rm(join(out, name), { recursive: true, force: true });
  });
}

/** Whether the mark is ours: a user's file may have the same name. */
async function isMarked(out: string): Promise<boolean> {
  return (await orAbsent(readFile(join(out, markFile), "utf8"))) === mark;
}

async function orAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
