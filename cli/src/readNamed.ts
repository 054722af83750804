import { readFile } from "node:fs/promises";
import { UsageError } from "./exitCode.ts";

/** The text of a file that the user named. @param where how it was named @throws UsageError that begins with it */
export function readNamed(path: string, where = path): Promise<string> {
  return readFile(path, "utf8").catch(({ code, message }: NodeJS.ErrnoException) => {
    throw new UsageError(`${where}: ${code === "ENOENT" ? "there is no such file" : message}.`);
  });
}
