import type { Engine, Matrix } from "@safedelta/engine";
import { CoreError } from "./errors.ts";

/** Small matrix helpers of this package. A new matrix belongs to the caller. */

/** A new matrix with the content of m. */
export function copyOf(engine: Engine, m: Matrix): Matrix {
  const copy = engine.alloc(m.rows, m.cols);
  engine.convert(m, copy);
  return copy;
}

/** a − b, new. */
export function difference(engine: Engine, a: Matrix, b: Matrix): Matrix {
  const out = copyOf(engine, a);
  engine.add(-1, b, out);
  return out;
}

/** a · op(b), new. */
export function product(engine: Engine, a: Matrix, b: Matrix, transB = false): Matrix {
  const out = engine.alloc(a.rows, transB ? b.rows : b.cols);
  engine.gemm(1, a, false, b, transB, 0, out);
  return out;
}

/** The chosen columns of m (all rows), new. */
export function columnsOf(engine: Engine, m: Matrix, cols: Int32Array): Matrix {
  const out = engine.alloc(m.rows, cols.length);
  engine.gather(m, null, cols, out);
  return out;
}

/** ‖m‖² in f64. */
export function squaredNorm(engine: Engine, m: Matrix): number {
  return sum(engine.columnSquares(m));
}

/** The non-negative diagonal of m. By `columnSquares`, which keeps f64 where the engine has it (`read` rounds to f32). */
export function diagonalOf(engine: Engine, m: Matrix): Float64Array {
  return Float64Array.from({ length: m.cols }, (_, j) => Math.sqrt(squaredNorm(engine, m.view(j, j, 1, 1))));
}

export function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}

export function mean(values: Float64Array): number {
  return sum(values) / values.length;
}

/** @throws CoreError `shape` */
export function checkShape(what: string, m: Matrix, rows: number, cols: number): void {
  if (m.rows === rows && m.cols === cols) return;
  throw new CoreError("shape", `${what} is ${m.rows} x ${m.cols}, expected ${rows} x ${cols}.`);
}

/** @throws CoreError `notFinite` naming the first column of m that holds NaN or Inf */
export function checkFinite(engine: Engine, what: string, m: Matrix): void {
  const column = engine.columnSquares(m).findIndex((value) => !Number.isFinite(value));
  if (column < 0) return;
  throw new CoreError("notFinite", `${what} holds NaN or Inf in column ${column}. Check the file that it comes from.`);
}
