import { open } from "node:fs/promises";
import { type NewFile, requireFreeFile } from "@safedelta/pipeline";
import { UsageError } from "./exitCode.ts";

/** Of records to be written as JSONL: with `overwrite`, too, only such a file is replaced. @throws as `requireFreeFile`; UsageError for another file */
export async function requireFreeRecords(file: Omit<NewFile, "ending">): Promise<void> {
  await requireFreeFile({ ...file, ending: ".jsonl" });
  const line = await firstLineOf(file.out);
  if (line === undefined || isRecord(line)) return;
  throw new UsageError(
    `${file.out}: holds no records as this command writes them (JSONL with "messages"), so --overwrite does not replace it. ` +
      "Choose another --out, or remove the file yourself.",
  );
}

/** Undefined where there is no file, or an empty one. */
async function firstLineOf(path: string): Promise<string | undefined> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UsageError(`${path} cannot be read: ${error.message}`);
  });
  if (file === undefined) return undefined;
  try {
    for await (const line of file.readLines()) return line;
    return undefined;
  } finally {
    await file.close();
  }
}

function isRecord(line: string): boolean {
  try {
    return Array.isArray(JSON.parse(line)?.messages);
  } catch {
    return false;
  }
}
