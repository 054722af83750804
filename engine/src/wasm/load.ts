import { EngineUnavailableError } from "../engine.ts";

/** The exports of the Rust crate `engine/cpu` (see its `wasm.rs`). Addresses and sizes are unsigned 32-bit numbers. */
export type WasmExports = typeof import("../../wasm/kernels.js");

/** What `kernelsVersion` of `engine/cpu/src/wasm.rs` must say: raised together whenever an export changes. */
const expectedVersion = 2;

/**
 * Instantiate the committed build. All engines of one process share one instance and so one linear memory.
 * @param read gives the bytes of `kernels_bg.wasm`
 * @throws EngineUnavailableError when the file is missing, from another version, or this runtime lacks WebAssembly SIMD.
 */
export async function loadKernels(
  read: () => Promise<BufferSource>,
): Promise<{ exports: WasmExports; memory: WebAssembly.Memory }> {
  try {
    const exports = await import("../../wasm/kernels.js");
    const { memory } = exports.initSync({ module: await read() });
    requireVersion(exports.kernels_version());
    return { exports, memory };
  } catch (error) {
    if (error instanceof EngineUnavailableError) throw error;
    throw new EngineUnavailableError("open", `the WASM build did not load: ${error}. Restore engine/wasm from git.`);
  }
}

function requireVersion(version: number): void {
  if (version === expectedVersion) return;
  throw new EngineUnavailableError(
    "open",
    `the WASM build has version ${version}, expected ${expectedVersion}: run \`bun run build:wasm\``,
  );
}
