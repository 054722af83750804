import { EngineSettingError } from "../engine.ts";

/** Where the library of an engine is looked for: there and nowhere else. */
export interface LibraryPlace {
  readonly path: string;
  /** What says so: a variable of the environment or the command that builds it. */
  readonly source: string;
  readonly present: boolean;
}

/** What SAFEDELTA_NATIVE_LIB or SAFEDELTA_CUDA_LIB names, else where `bun run build:NAME` puts it. */
export async function libraryPlace(name: "native" | "cuda"): Promise<LibraryPlace> {
  const { existsSync } = await import("node:fs");
  const variable = libraryVariable(name);
  const named = process.env[variable];
  const path = named || (await builtPath(name));
  return { path, source: named ? variable : buildCommand(name), present: existsSync(path) };
}

/** The library that `bun run build:NAME` puts into engine/native; undefined where it is not built. */
export async function builtLibrary(name: "native" | "cuda"): Promise<string | undefined> {
  const { existsSync } = await import("node:fs");
  const path = await builtPath(name);
  return existsSync(path) ? path : undefined;
}

async function builtPath(name: "native" | "cuda"): Promise<string> {
  const { fileURLToPath } = await import("node:url");
  const { suffix } = await import("bun:ffi");
  return fileURLToPath(new URL(`../../native/libsafedelta_${name}.${suffix}`, import.meta.url));
}

/** The variable of the environment that names an engine's library. */
export function libraryVariable(name: "native" | "cuda"): string {
  return `SAFEDELTA_${name.toUpperCase()}_LIB`;
}

/** The command that builds an engine's library. */
export function buildCommand(name: "native" | "cuda"): string {
  return `bun run build:${name}`;
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
