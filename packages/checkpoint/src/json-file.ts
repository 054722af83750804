import { readFile } from "node:fs/promises";
import { CheckpointError, guardIo } from "./errors.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** True for a JSON object (not an array, not null). */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a file that must hold one JSON object. Throws `CheckpointError` ("format" or "not-found"). */
export async function readJsonObject(path: string): Promise<JsonObject> {
  const text = await guardIo("read the file", path, () => readFile(path, "utf8"));
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CheckpointError("format", `${path}: is not valid JSON (${(cause as Error).message})`, {
      file: path,
      cause,
    });
  }
  if (!isJsonObject(value)) throw new CheckpointError("format", `${path}: must hold a JSON object`, { file: path });
  return value;
}
