import type { LoraFactors } from "./adapter.ts";

/** Columns done at a time, so that this part of A and the sums stay in the cache. */
const blockCols = 1024;

/** sums[0 … n) = Σ_k b[k] · A[k, first … first + n), four ranks a pass. */
function combineRows(sums: Float64Array, n: number, b: Float32Array, bStart: number, f: Factors, first: number): void {
  const { a, r, cols } = f;
  sums.fill(0, 0, n);
  let k = 0;
  for (; k + 4 <= r; k += 4) {
    const [b0, b1, b2, b3] = [b[bStart + k], b[bStart + k + 1], b[bStart + k + 2], b[bStart + k + 3]];
    const a0 = k * cols + first;
    const [a1, a2, a3] = [a0 + cols, a0 + 2 * cols, a0 + 3 * cols];
    for (let j = 0; j < n; j++) sums[j] += b0 * a[a0 + j] + b1 * a[a1 + j] + b2 * a[a2 + j] + b3 * a[a3 + j];
  }
  for (; k < r; k++) {
    const bk = b[bStart + k];
    const ak = k * cols + first;
    for (let j = 0; j < n; j++) sums[j] += bk * a[ak + j];
  }
}

/** B [rows, r] and A [r, cols] with their factor. */
export type Factors = Pick<LoraFactors, "a" | "b" | "r" | "rows" | "cols" | "scale">;

/** W [rows, cols] += scale · B·A, summed in f64 and rounded once to f32. */
export function addLowRank(w: Float32Array, factors: Factors): void {
  const { b, r, rows, cols, scale } = factors;
  const sums = new Float64Array(blockCols);
  for (let first = 0; first < cols; first += blockCols) {
    const n = Math.min(blockCols, cols - first);
    for (let i = 0; i < rows; i++) {
      combineRows(sums, n, b, i * r, factors, first);
      const row = i * cols + first;
      for (let j = 0; j < n; j++) w[row + j] += scale * sums[j];
    }
  }
}

/** The transpose of a row-major rows x cols matrix. */
function transpose(values: Float32Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) out[j * rows + i] = values[i * cols + j];
  return out;
}

/** Factors of (B·A)ᵀ = Aᵀ·Bᵀ. */
export function transposeFactors({ a, b, r, rows, cols, scale }: Factors): Factors {
  return { a: transpose(b, rows, r), b: transpose(a, r, cols), r, rows: cols, cols: rows, scale };
}

/** Only rows [start, start + count) of B·A. */
export function sliceFactors(factors: Factors, start: number, count: number): Factors {
  const { b, r } = factors;
  return { ...factors, rows: count, b: b.subarray(start * r, (start + count) * r) };
}

/**
 * DoRA (arXiv 2402.09353): scales output i of V = W + scale·BA so that its norm is magnitude[i].
 * @param v rows x cols; an output is a row, or a column when `transposed`
 */
export function applyMagnitude(
  v: Float32Array,
  rows: number,
  cols: number,
  magnitude: Float32Array,
  transposed: boolean,
): void {
  const squares = new Float64Array(magnitude.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) squares[transposed ? j : i] += v[i * cols + j] ** 2;
  const factor = squares.map((square, output) => magnitude[output] / Math.sqrt(square));
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) v[i * cols + j] *= factor[transposed ? j : i];
}
