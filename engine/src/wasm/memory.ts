import { EngineMemoryError } from "../engine.ts";
import type { WasmExports } from "./load.ts";

/** What Rust's allocator can give at once: signed 32-bit sizes. All of linear memory is 4 GiB. */
const largestBytes = 2 ** 31 - 64;

/** Linear memory: allocation, and typed arrays over it. Growth detaches old views, so each call makes its own. */
export class LinearMemory {
  constructor(
    private readonly exports: WasmExports,
    private readonly memory: WebAssembly.Memory,
  ) {}

  /** Address of `bytes` zeros. @throws EngineMemoryError naming the operation. */
  alloc(operation: string, bytes: number): number {
    const address = bytes > largestBytes ? 0 : this.exports.alloc(Math.max(bytes, 1));
    if (address === 0) throw outOfMemory(operation, bytes);
    return address;
  }

  /** Give back what `alloc` returned for as many bytes. */
  free(address: number, bytes: number): void {
    this.exports.free(address, Math.max(bytes, 1));
  }

  /** Run `use` with the address of `bytes` zeros that are freed afterwards. */
  borrow<T>(operation: string, bytes: number, use: (address: number) => T): T {
    const address = this.alloc(operation, bytes);
    try {
      return use(address);
    } finally {
      this.free(address, bytes);
    }
  }

  /** Run `use` with the address of a copy of `values`; null passes on as address 0. */
  lend<T>(operation: string, values: Float32Array | Int32Array | null, use: (address: number) => T): T {
    if (values === null) return use(0);
    return this.borrow(operation, values.byteLength, (address) => {
      this.bytes(address, values.byteLength).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      return use(address);
    });
  }

  bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }

  f64(address: number, length: number): Float64Array {
    return new Float64Array(this.memory.buffer, address, length);
  }
}

/** @param bytes what was asked for; 0 where a kernel could not get its working memory. */
export function outOfMemory(operation: string, bytes: number): EngineMemoryError {
  const asked = bytes > 0 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : "working memory";
  return new EngineMemoryError(
    operation,
    bytes,
    `no room for ${asked}: WebAssembly has 4 GiB in all and 2 GiB for one matrix. Work on smaller parts or take another engine.`,
  );
}
