import { type Engine, EngineUnavailableError } from "./engine.ts";
import { builtLibrary, countFrom } from "./ffi/built.ts";
import { FfiKernels } from "./ffi/kernels.ts";
import { openLibrary } from "./ffi/library.ts";
import { KernelEngine } from "./kernelEngine.ts";

const buildCommand = "bun run build:native";

/**
 * Open the native CPU engine: the Rust kernels with the widest instructions of this machine.
 * @param threads 0 for one on each core, SAFEDELTA_THREADS unless given; the result's bytes do not depend on it
 * @throws EngineUnavailableError when it was not built or does not load
 */
export async function openNative(threads = countFrom("SAFEDELTA_THREADS", "a number of threads")): Promise<Engine> {
  const path = process.env.SAFEDELTA_NATIVE_LIB ?? (await builtPath());
  const kernels = FfiKernels.open(await openLibrary(path, buildCommand), threads, null);
  return new KernelEngine({ name: "native", version: "1", ...kernels.describe() }, kernels);
}

/** @throws EngineUnavailableError with what to do when it is not built */
async function builtPath(): Promise<string> {
  const path = await builtLibrary("native");
  if (path !== undefined) return path;
  const cargo = typeof Bun !== "undefined" && Bun.which("cargo") !== null;
  const next = cargo ? `run \`${buildCommand}\`` : `install Rust (cargo), then run \`${buildCommand}\``;
  throw new EngineUnavailableError("open", `not built: ${next}`);
}
