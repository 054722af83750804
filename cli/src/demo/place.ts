import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../exitCode.ts";

/** Says that a folder is the demo's, so that what the demo writes in it may be replaced. */
const markFile = "demo.json";

/** What a demo before the mark wrote. */
const unmarked = ["optimal", "optimal-task", "reference", "state", "sweep"];

/**
 * Take the folder that the demo writes into: a new one, or one that a demo made.
 * @throws UsageError when it holds anything else, which is never replaced
 */
export async function claimDemoFolder(out: string): Promise<void> {
  const names = (await readdir(out).catch((): string[] => [])).filter((name) => !name.startsWith(".")).sort();
  const ours = names.includes(markFile) || names.length === 0 || names.join() === unmarked.join();
  if (!ours)
    throw new UsageError(
      `${out}: is not empty and was not made by demo, so nothing in it is replaced. Choose another --out.`,
    );
  await mkdir(out, { recursive: true });
  await Bun.write(join(out, markFile), `${JSON.stringify({ madeBy: "safedelta demo" }, null, 2)}\n`);
}
