import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "@safedelta/pipeline";
import { UsageError } from "../exitCode.ts";

/** Says that a folder is an experiment's. */
const markFile = "experiment.json";

/**
 * Take the folder of an experiment: a new one, or one that an experiment made, whose finished steps count.
 * @throws UsageError when it holds anything else
 */
export async function claimFolder(out: string): Promise<void> {
  await requireOurs(out);
  await writeWhole(join(out, markFile), `${JSON.stringify({ madeBy: "safedelta experiment" }, null, 2)}\n`);
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
