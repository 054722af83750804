import type { z } from "zod";
import { UsageError } from "../exitCode.ts";

/** Read and check a JSON file. @throws UsageError naming the file, the first field that is wrong, and what the file should be */
export async function readJsonAs<S extends z.ZodType>(path: string, schema: S, what: string): Promise<z.output<S>> {
  return checkedAs(await parsedFile(path), schema, path, what);
}

/** @throws UsageError for a file that cannot be read, or is no JSON */
export async function parsedFile(path: string): Promise<unknown> {
  try {
    return await Bun.file(path).json();
  } catch (error) {
    throw new UsageError(`${path}: cannot be read as JSON (${(error as Error).message}).`);
  }
}

/** @throws UsageError as `readJsonAs` */
export function checkedAs<S extends z.ZodType>(value: unknown, schema: S, path: string, what: string): z.output<S> {
  const found = schema.safeParse(value);
  if (found.success) return found.data;
  const [{ path: place, message }] = found.error.issues;
  throw new UsageError(`${path}: is not ${what}: ${place.join(".") || "the document"}: ${message}.`);
}
