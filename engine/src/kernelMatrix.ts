import { checkView } from "./checks.ts";
import { type DType, dtypeBytes, EngineError } from "./engine.ts";
import type { Handle } from "./require.ts";

/** The memory of one `alloc`, shared by a matrix and its views. */
export interface Allocation {
  readonly address: number;
  readonly bytes: number;
  live: boolean;
}

/** A handle of an engine over kernels. */
export class KernelMatrix implements Handle {
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

  /** Address of element (0, 0) in engine memory. */
  get address(): number {
    return this.allocation.address + this.offset * dtypeBytes[this.dtype];
  }

  view(row: number, col: number, rows: number, cols: number): KernelMatrix {
    if (!this.allocation.live) throw new EngineError("view", `the ${this.rows} x ${this.cols} matrix was disposed`);
    checkView(this, row, col, rows, cols);
    const offset = this.offset + row * this.stride + col;
    return new KernelMatrix(this.allocation, offset, rows, cols, this.stride, this.dtype, () => {});
  }

  [Symbol.dispose](): void {
    this.release();
  }
}
