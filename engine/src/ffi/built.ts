import { EngineSettingError } from "../engine.ts";

/** The library that `bun run build:NAME` puts into engine/native; undefined where it is not built. */
export async function builtLibrary(name: "native" | "cuda"): Promise<string | undefined> {
  const { existsSync } = await import("node:fs");
  const { fileURLToPath } = await import("node:url");
  const { suffix } = await import("bun:ffi");
  const path = fileURLToPath(new URL(`../../native/libsafedelta_${name}.${suffix}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}

/**
 * The count that a variable of the environment holds; 0 when it is not set.
 * @param meaning what is expected, in words
 * @throws EngineSettingError for anything but a count, with `auto` too: the user set it
 */
export function countFrom(variable: string, meaning: string): number {
  const text = process.env[variable] || "0";
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new EngineSettingError("open", `${variable} is "${text}", expected ${meaning} (0 … 999)`);
}
