import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { UsageError } from "../exitCode.ts";

const again = "Remove it; what it told of is then made again.";

/**
 * What an experiment's folder holds in one of its own files; undefined where that is not there.
 * @param advice what to do about a damaged one
 * @throws UsageError naming the file when it is none of ours any more
 */
export async function savedJson<T>(path: string, schema: z.ZodType<T>, advice = again): Promise<T | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new UsageError(`${path}: is damaged. ${advice}`);
  }
}
