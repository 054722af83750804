import { EngineSettingError, EngineUnavailableError } from "../engine.ts";
import { buildCommand, builtLibrary, libraryVariable } from "./built.ts";
import { abiVersion, symbols } from "./symbols.ts";

/** Each function takes numbers (addresses too), host arrays for the header's pointers, or null; and returns a status. */
type Functions = Record<keyof typeof symbols, (...args: (number | ArrayBufferView | null)[]) => number>;

/** An opened library with the functions of engine/include/safedelta.h. */
export interface Library {
  readonly path: string;
  readonly sd: Functions;
}

/**
 * Open the library that a variable of the environment names, else the one that was built here.
 * @param notBuilt told when there is neither
 * @throws EngineSettingError when the named one is of no use (with `auto` too: the user set it); EngineUnavailableError as `openLibrary`
 */
export async function openNamedOrBuilt(name: "native" | "cuda", notBuilt: () => Promise<string>): Promise<Library> {
  const [variable, rebuild] = [libraryVariable(name), buildCommand(name)];
  const named = process.env[variable];
  if (named) return openAs(named, variable, rebuild);
  const built = await builtLibrary(name);
  if (built === undefined) throw new EngineUnavailableError("open", await notBuilt());
  return openLibrary(built, rebuild);
}

async function openAs(path: string, variable: string, rebuild: string): Promise<Library> {
  try {
    return await openLibrary(path, rebuild);
  } catch (error) {
    if (!(error instanceof EngineUnavailableError)) throw error;
    throw new EngineSettingError("open", `${variable}: ${error.reason}, or unset ${variable}`);
  }
}

/**
 * Open a library. It is never closed: other engines of the process may use it.
 * @throws EngineUnavailableError when it cannot be loaded, lacks a function or has another ABI version
 */
export async function openLibrary(path: string, rebuild: string): Promise<Library> {
  await requireWhole(path, rebuild);
  const { dlopen } = await import("bun:ffi");
  const sd = load(() => dlopen(path, symbols as never).symbols as Functions, path, rebuild);
  const found = sd.sd_abi_version();
  if (found === abiVersion) return { path, sd };
  throw new EngineUnavailableError(
    "open",
    `${path} has ABI version ${found}, expected ${abiVersion}: run \`${rebuild}\``,
  );
}

/**
 * A truncated ELF file loads, and kills the process with SIGBUS when a page that is not there is touched. The table of its sections
 * stands at its end.
 */
async function requireWhole(path: string, rebuild: string): Promise<void> {
  const file = Bun.file(path);
  if (!(await file.exists())) return; // dlopen tells
  const header = new DataView(await file.slice(0, 64).arrayBuffer());
  if (header.byteLength < 64 || header.getUint32(0) !== 0x7f454c46) return; // no ELF file at all: dlopen tells
  const [tableAt, entryBytes, nEntries] = [
    header.getBigUint64(40, true),
    header.getUint16(58, true),
    header.getUint16(60, true),
  ];
  const needed = Number(tableAt) + entryBytes * nEntries;
  if (file.size < needed)
    throw new EngineUnavailableError(
      "open",
      `${path} is cut short: ${file.size} bytes of ${needed} at least: run \`${rebuild}\``,
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
