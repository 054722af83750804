import { checkView } from "../checks.ts";
import { type DType, EngineError } from "../engine.ts";
import type { Handle } from "../require.ts";
import type { Block } from "./block.ts";
import { fromBf16, fromF16, toBf16, toF16 } from "./halves.ts";

/** f64 numbers for "f32" matrices, so that the oracle does not round; bit patterns for f16 and bf16. */
export type Storage = Float64Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;

/** The memory of one `alloc`, shared by a matrix and its views. `storage` is null once released. */
export interface Allocation {
  storage: Storage | null;
}

/** How a 16-bit pattern becomes a number and back. */
const halves = {
  f16: { from: fromF16, to: toF16 },
  bf16: { from: fromBf16, to: toBf16 },
} as const;

/** A handle of the reference engine. */
export class ReferenceMatrix implements Handle {
  constructor(
    readonly allocation: Allocation,
    readonly offset: number,
    readonly rows: number,
    readonly cols: number,
    readonly stride: number,
    readonly dtype: DType,
    /** What disposal does: nothing for a view. */
    private readonly release: () => void,
  ) {}

  view(row: number, col: number, rows: number, cols: number): ReferenceMatrix {
    this.storage("view");
    checkView(this, row, col, rows, cols);
    const offset = this.offset + row * this.stride + col;
    return new ReferenceMatrix(this.allocation, offset, rows, cols, this.stride, this.dtype, () => {});
  }

  [Symbol.dispose](): void {
    this.release();
  }

  /** @throws EngineError after disposal. */
  storage(operation: string): Storage {
    const { storage } = this.allocation;
    if (storage === null) throw new EngineError(operation, `the ${this.rows} x ${this.cols} matrix was disposed`);
    return storage;
  }

  /** The f64 numbers of an f32 matrix. */
  block(operation: string): Block {
    const data = this.storage(operation);
    if (!(data instanceof Float64Array)) throw new EngineError(operation, `expected f32, got ${this.dtype}`);
    return { data, offset: this.offset, rows: this.rows, cols: this.cols, stride: this.stride };
  }

  /** Row-major copy of what is stored, raw. */
  copyStorage(operation: string): Storage {
    const storage = this.storage(operation);
    const out = storage instanceof Float64Array ? new Float64Array(this.size) : new Uint16Array(this.size);
    this.eachPlace((at, i) => {
      out[i] = storage[at];
    });
    return out;
  }

  /** Overwrite what is stored, raw, by row-major `values`. */
  setStorage(operation: string, values: ArrayLike<number>): void {
    const storage = this.storage(operation);
    this.eachPlace((at, i) => {
      storage[at] = values[i];
    });
  }

  /** Row-major numbers, whatever the dtype. */
  numbers(operation: string): Float64Array {
    const raw = this.copyStorage(operation);
    return this.dtype === "f32" ? Float64Array.from(raw) : Float64Array.from(raw, halves[this.dtype].from);
  }

  /** Overwrite by row-major numbers, rounded to this dtype where it has 16 bits. */
  setNumbers(operation: string, numbers: Float64Array): void {
    if (this.dtype === "f32") this.setStorage(operation, numbers);
    else this.setStorage(operation, Uint16Array.from(numbers, halves[this.dtype].to));
  }

  get size(): number {
    return this.rows * this.cols;
  }

  /** Visit the place of every element in row-major order, with its running number. */
  private eachPlace(visit: (at: number, i: number) => void): void {
    for (let i = 0; i < this.size; i++) {
      visit(this.offset + Math.floor(i / this.cols) * this.stride + (i % this.cols), i);
    }
  }
}
