import type { Engine } from "./engine.ts";
import { countFrom } from "./ffi/built.ts";
import { FfiKernels } from "./ffi/kernels.ts";
import { openNamedOrBuilt } from "./ffi/library.ts";
import { KernelEngine } from "./kernelEngine.ts";

/**
 * Open the native CPU engine: the Rust kernels with the widest instructions of this machine; from SAFEDELTA_NATIVE_LIB where that is set.
 * @param threads 0 for one on each core, SAFEDELTA_THREADS unless given; the result's bytes do not depend on it
 * @throws EngineUnavailableError when it was not built or does not load; EngineSettingError for a variable that is of no use
 */
export async function openNative(threads = countFrom("SAFEDELTA_THREADS", "a number of threads")): Promise<Engine> {
  const kernels = FfiKernels.open(await openNamedOrBuilt("native", notBuilt), threads, null);
  return new KernelEngine({ name: "native", version: "1", ...kernels.describe() }, kernels);
}

async function notBuilt(): Promise<string> {
  const cargo = typeof Bun !== "undefined" && Bun.which("cargo") !== null;
  const next = "run `bun run build:native`";
  return `not built: ${cargo ? next : `install Rust (cargo), then ${next}`}`;
}
