import type { Engine, EngineInfo } from "../engine.ts";
import { KernelEngine } from "../kernelEngine.ts";
import { WasmKernels } from "./kernels.ts";
import { loadKernels } from "./load.ts";
import { LinearMemory } from "./memory.ts";

const info: EngineInfo = {
  name: "wasm",
  description: "WebAssembly with 128-bit SIMD, one core",
  version: "1",
  threads: 1,
};

/**
 * Open the WebAssembly engine: one core, 128-bit SIMD, the same bytes on every machine.
 * @param read gives the bytes of `kernels_bg.wasm`: from a file, or fetched by a page
 * @throws EngineUnavailableError when the build cannot be loaded.
 */
export async function openWasmFrom(read: () => Promise<BufferSource>): Promise<Engine> {
  const { exports, memory } = await loadKernels(read);
  return new KernelEngine(info, new WasmKernels(exports, new LinearMemory(exports, memory)));
}
