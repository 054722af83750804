import type { Engine, EngineInfo } from "./engine.ts";
import { KernelEngine } from "./kernelEngine.ts";
import { WasmKernels } from "./wasm/kernels.ts";
import { loadKernels } from "./wasm/load.ts";
import { LinearMemory } from "./wasm/memory.ts";

const info: EngineInfo = {
  name: "wasm",
  description: "WebAssembly with 128-bit SIMD, one core",
  version: "1",
  threads: 1,
};

/**
 * Open the WebAssembly engine: one core, 128-bit SIMD, the same bytes on every machine.
 * @param binary the bytes of `kernels_bg.wasm`, where no file can be read (a browser).
 * @throws EngineUnavailableError when the build cannot be loaded.
 */
export async function openWasm(binary?: BufferSource): Promise<Engine> {
  const { exports, memory } = await loadKernels(binary);
  return new KernelEngine(info, new WasmKernels(exports, new LinearMemory(exports, memory)));
}
