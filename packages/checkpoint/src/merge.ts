import type { LoraFactors } from "./adapter.ts";

/** B [rows, r] and A [r, cols] with their factor. */
export type Factors = Pick<LoraFactors, "a" | "b" | "r" | "rows" | "cols" | "scale">;

/** Columns done at a time, so that this part of A (f64) and the sums stay in the cache. */
const blockCols = 1024;

/** Ranks added in one pass over the sums. */
const ranksAtOnce = 4;

/** sums += Σ b_k · a_k over four ranks. Plain parameters and its own function: five times as fast as the loop in place. */
function addRanks(
  sums: Float64Array,
  a0: Float64Array,
  a1: Float64Array,
  a2: Float64Array,
  a3: Float64Array,
  b0: number,
  b1: number,
  b2: number,
  b3: number,
): void {
  for (let j = 0; j < sums.length; j++) sums[j] += b0 * a0[j] + b1 * a1[j] + b2 * a2[j] + b3 * a3[j];
}

/** w += scale · sums. */
function addScaled(w: Float32Array, scale: number, sums: Float64Array): void {
  for (let j = 0; j < sums.length; j++) w[j] += scale * sums[j];
}

/** Columns [first, end) of A as f64, one array a rank, with ranks of zeros up to a whole pass. */
function packColumns({ a, r, cols }: Factors, first: number, end: number): Float64Array[] {
  const nRanks = Math.ceil(r / ranksAtOnce) * ranksAtOnce;
  return Array.from({ length: nRanks }, (_, k) =>
    k < r ? new Float64Array(a.subarray(k * cols + first, k * cols + end)) : new Float64Array(end - first),
  );
}

/** W [rows, cols] += scale · B·A, summed in f64 and rounded once to f32. */
export function addLowRank(w: Float32Array, factors: Factors): void {
  const { b, r, rows, cols, scale } = factors;
  for (let first = 0; first < cols; first += blockCols) {
    const end = Math.min(first + blockCols, cols);
    const a = packColumns(factors, first, end);
    const bRow = new Float64Array(a.length);
    const sums = new Float64Array(end - first);
    for (let i = 0; i < rows; i++) {
      bRow.set(b.subarray(i * r, (i + 1) * r));
      sums.fill(0);
      for (let k = 0; k < a.length; k += ranksAtOnce)
        addRanks(sums, a[k], a[k + 1], a[k + 2], a[k + 3], bRow[k], bRow[k + 1], bRow[k + 2], bRow[k + 3]);
      addScaled(w.subarray(i * cols + first, i * cols + end), scale, sums);
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
