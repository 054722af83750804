import type { Engine } from "./engine.ts";
import { openWasmFrom } from "./wasm/open.ts";

/** The committed build of the kernels. */
export const wasmBinary = new URL("../wasm/kernels_bg.wasm", import.meta.url);

/** Open the WebAssembly engine from the build beside this package. @throws EngineUnavailableError when it cannot be loaded. */
export function openWasm(): Promise<Engine> {
  return openWasmFrom(async () => (await import("node:fs/promises")).readFile(wasmBinary));
}
