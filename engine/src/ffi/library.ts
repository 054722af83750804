import { EngineUnavailableError } from "../engine.ts";
import { abiVersion, symbols } from "./symbols.ts";

/** Each function takes numbers (addresses too), host arrays for the header's pointers, or null; and returns a status. */
type Functions = Record<keyof typeof symbols, (...args: (number | ArrayBufferView | null)[]) => number>;

/** An opened library with the functions of engine/include/safedelta.h. */
export interface Library {
  readonly path: string;
  readonly sd: Functions;
}

/**
 * Open a library. It is never closed: other engines of the process may use it.
 * @throws EngineUnavailableError when it cannot be loaded, lacks a function or has another ABI version
 */
export async function openLibrary(path: string, rebuild: string): Promise<Library> {
  const { dlopen } = await import("bun:ffi");
  const sd = load(() => dlopen(path, symbols as never).symbols as Functions, path, rebuild);
  const found = sd.sd_abi_version();
  if (found === abiVersion) return { path, sd };
  throw new EngineUnavailableError(
    "open",
    `${path} has ABI version ${found}, expected ${abiVersion}: run \`${rebuild}\``,
  );
}

function load(open: () => Functions, path: string, rebuild: string): Functions {
  try {
    return open();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EngineUnavailableError("open", `${path} did not load (${reason}): run \`${rebuild}\``);
  }
}
