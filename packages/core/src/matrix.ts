import type { Engine, Matrix } from "@safedelta/engine";
import { CoreError } from "./errors.ts";

/** Small matrix helpers of this package. A new matrix belongs to the caller. */

/** What `use` gives for the owned m; when it throws, m is disposed. */
export function owning<T>(m: Matrix, use: (m: Matrix) => T): T {
  try {
    return use(m);
  } catch (error) {
    m[Symbol.dispose]();
    throw error;
  }
}

/** A new matrix that `fill` writes; it is disposed again when that throws. */
export function make(engine: Engine, rows: number, cols: number, fill: (out: Matrix) => void): Matrix {
  return owning(engine.alloc(rows, cols), (out) => {
    fill(out);
    return out;
  });
}

/** A new matrix with the content of m, which `change` may go on with. */
export function copyOf(engine: Engine, m: Matrix, change: (copy: Matrix) => void = () => {}): Matrix {
  return make(engine, m.rows, m.cols, (copy) => {
    engine.convert(m, copy);
    change(copy);
  });
}

/** a − b, new. */
export function difference(engine: Engine, a: Matrix, b: Matrix): Matrix {
  return copyOf(engine, a, (out) => engine.add(-1, b, out));
}

/** a · op(b), new. */
export function product(engine: Engine, a: Matrix, b: Matrix, transB = false): Matrix {
  return make(engine, a.rows, transB ? b.rows : b.cols, (out) => engine.gemm(1, a, false, b, transB, 0, out));
}

/** The chosen columns of m (all rows), new. */
export function columnsOf(engine: Engine, m: Matrix, cols: Int32Array): Matrix {
  return make(engine, m.rows, cols.length, (out) => engine.gather(m, null, cols, out));
}

/** ‖m‖² in f64. */
export function squaredNorm(engine: Engine, m: Matrix): number {
  return sum(engine.columnSquares(m));
}

/** tr(X R Rᵀ Xᵀ) for upper triangular R. @param squares ‖m_j‖² for each column j */
export function quadratic(
  engine: Engine,
  x: Matrix,
  r: Matrix,
  squares = (m: Matrix): Float64Array => engine.columnSquares(m),
): number {
  using whitened = copyOf(engine, x, (copy) => engine.trmm(copy, r, false));
  return sum(squares(whitened));
}

/** Side of the pieces in which `addToDiagonal` walks a diagonal. */
const diagonalBlock = 256;

/** Every diagonal element of the square m += value. */
export function addToDiagonal(engine: Engine, value: number, m: Matrix): void {
  const side = Math.min(diagonalBlock, m.cols);
  using identity = engine.alloc(side, side);
  engine.write(
    identity,
    Float32Array.from({ length: side * side }, (_, at) => (at % (side + 1) === 0 ? 1 : 0)),
  );
  for (let at = 0; at < m.cols; at += side) {
    const size = Math.min(side, m.cols - at);
    engine.add(value, identity.view(0, 0, size, size), m.view(at, at, size, size));
  }
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
