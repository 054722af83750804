import { expect } from "bun:test";
import { type DType, dtypeBytes, type Engine, EngineError, type Matrix, type Values } from "@safedelta/engine";
import { combine, norm, type Plain, plainOf } from "../support/plain.ts";
import { Random } from "../support/random.ts";

/** One thing that every engine must do. */
export interface Case {
  readonly name: string;
  /** `open` gives another engine of the same kind; whoever asks disposes it. */
  run(t: Trial, open: () => Promise<Engine>): void | Promise<void>;
}

/** Where a matrix lies: alone, or inside a larger one with NaN around it. */
export type Layout = "dense" | "view";
export const layouts: readonly Layout[] = ["dense", "view"];

/** Sizes around the blocks and vector widths of kernels. */
export const sizes = [1, 2, 3, 5, 17, 31, 33, 64, 97, 130] as const;

/** Unit roundoff of f32: results cross the border as f32 whatever the engine computes in. */
const f32Unit = 2 ** -24;

/** One run of a case on one engine: makes matrices, compares, and in the end proves that nothing leaked or was overwritten. */
export class Trial {
  private readonly startBytes: number;
  private readonly owned: Matrix[] = [];
  private readonly frames: { outer: Matrix; inner: Matrix }[] = [];

  constructor(
    readonly engine: Engine,
    readonly random = new Random(20250512),
  ) {
    this.startBytes = engine.bytesInUse;
  }

  /** Unit roundoff of the engine's arithmetic. */
  get unit(): number {
    return this.engine.info.name === "reference" ? 2 ** -53 : f32Unit;
  }

  /** A zero matrix that the trial disposes. */
  alloc(rows: number, cols: number, dtype: DType = "f32"): Matrix {
    return this.adopt(this.engine.alloc(rows, cols, dtype));
  }

  /** Leave the disposal of `m` to the trial. */
  adopt(m: Matrix): Matrix {
    this.owned.push(m);
    return m;
  }

  /** A matrix full of NaN: what an operation that only writes must not read. */
  blank(rows: number, cols: number, layout: Layout = "dense"): Matrix {
    const outer = layout === "dense" ? this.alloc(rows, cols) : this.alloc(rows + 3, cols + 5);
    this.engine.fill(outer, Number.NaN);
    if (layout === "dense") return outer;
    const inner = outer.view(2, 3, rows, cols);
    this.frames.push({ outer, inner });
    return inner;
  }

  /** An f32 matrix that holds `p` (rounded to f32). */
  matrix(p: Plain, layout: Layout = "dense"): Matrix {
    const m = this.blank(p.rows, p.cols, layout);
    this.engine.write(m, Float32Array.from(p.values));
    return m;
  }

  /** A matrix of any dtype from raw values. */
  raw(rows: number, cols: number, values: Values, dtype: DType): Matrix {
    const m = this.alloc(rows, cols, dtype);
    this.engine.write(m, values);
    return m;
  }

  /** Normal numbers, exact in f32. */
  normal(rows: number, cols: number, scale = 1): Plain {
    return plainOf(rows, cols, this.random.normals(rows * cols, scale));
  }

  plain(m: Matrix): Plain {
    return plainOf(m.rows, m.cols, this.engine.read(m));
  }

  /**
   * ‖actual − expected‖ within the rounding of a sum of `depth` products: `scale` is the norm of what was multiplied (for
   * C = A B, ‖A‖ ‖B‖), the error of a random walk is √depth units of it, and reading rounds once more.
   */
  near(actual: Plain, expected: Plain, scale: number, depth: number): void {
    const allowed = (2 * f32Unit + (1 + Math.sqrt(depth)) * this.unit) * scale;
    expect([actual.rows, actual.cols]).toEqual([expected.rows, expected.cols]);
    expect(norm(combine(1, actual, -1, expected))).toBeLessThanOrEqual(allowed);
  }

  /** `action` throws an EngineError that names `operation`, in its field and at the head of its message. */
  rejects(operation: string, action: () => unknown): EngineError {
    const error = thrownBy(action);
    if (!(error instanceof EngineError)) throw new Error(`${operation}: expected an EngineError, got ${error}`);
    expect(error.operation).toBe(operation);
    expect(error.message).toStartWith(`${operation}: `);
    return error;
  }

  /** Dispose all; no frame may have been written into and no byte may stay in use. */
  finish(): void {
    for (const frame of this.frames) this.expectIntact(frame.outer, frame.inner);
    for (const m of this.owned) m[Symbol.dispose]();
    expect(this.engine.bytesInUse).toBe(this.startBytes);
  }

  /** All around the view there is still NaN, and nothing but NaN. */
  private expectIntact(outer: Matrix, inner: Matrix): void {
    this.engine.fill(inner, Number.NaN);
    expect(this.engine.read(outer).every(Number.isNaN)).toBe(true);
  }
}

/** Bytes that a rows x cols matrix takes at least. */
export function leastBytes(rows: number, cols: number, dtype: DType): number {
  return rows * cols * dtypeBytes[dtype];
}

/** What `action` throws; undefined when it returns. */
export function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** The bytes of values, for comparison bit by bit (NaN and −0 included). */
export function bytesOf(values: Values | Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
