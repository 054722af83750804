import { type Engine, EngineSettingError, EngineUnavailableError } from "./engine.ts";
import { FfiKernels } from "./ffi/kernels.ts";
import { openLibrary } from "./ffi/library.ts";
import { KernelEngine } from "./kernelEngine.ts";

const buildCommand = "bun run build:native";

/** What the user set wrongly is an error, with `auto` too. @throws EngineSettingError for anything but a count; unset: one on each core */
function threadsAsked(): number {
  const text = process.env.SAFEDELTA_THREADS ?? "0";
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new EngineSettingError("open", `SAFEDELTA_THREADS is "${text}", expected a number of threads`);
}

/**
 * Open the native CPU engine: the Rust kernels with the widest instructions of this machine.
 * @param threads 0 for one on each core, SAFEDELTA_THREADS unless given; the result's bytes do not depend on it
 * @throws EngineUnavailableError when it was not built or does not load
 */
export async function openNative(threads = threadsAsked()): Promise<Engine> {
  const path = process.env.SAFEDELTA_NATIVE_LIB ?? (await builtPath());
  const kernels = FfiKernels.open(await openLibrary(path, buildCommand), threads, null);
  return new KernelEngine({ name: "native", version: "1", ...kernels.describe() }, kernels);
}

/** Where `bun run build:native` puts the library. */
async function builtPath(): Promise<string> {
  const { existsSync } = await import("node:fs");
  const { fileURLToPath } = await import("node:url");
  const { suffix } = await import("bun:ffi");
  const path = fileURLToPath(new URL(`../native/libsafedelta_native.${suffix}`, import.meta.url));
  if (existsSync(path)) return path;
  const cargo = typeof Bun !== "undefined" && Bun.which("cargo") !== null;
  const next = cargo ? `run \`${buildCommand}\`` : `install Rust (cargo), then run \`${buildCommand}\``;
  throw new EngineUnavailableError("open", `not built: ${next}`);
}
