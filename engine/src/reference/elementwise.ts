import { type Block, eachElement } from "./block.ts";

/** C[i][j] += alpha · A[i][j]. */
export function add(alpha: number, a: Block, c: Block): void {
  eachElement(c, (at, i, j) => {
    c.data[at] += alpha * a.data[a.offset + i * a.stride + j];
  });
}

/** m[i][j] *= factors[j]. */
export function scaleCols(m: Block, factors: Float32Array): void {
  eachElement(m, (at, _, j) => {
    m.data[at] *= factors[j];
  });
}

/** Σ_i m[i][j]². */
export function columnSquares(m: Block): Float64Array {
  const sums = new Float64Array(m.cols);
  eachElement(m, (at, _, j) => {
    sums[j] += m.data[at] ** 2;
  });
  return sums;
}

/** x[t][j] += bias[j]. */
export function addBias(x: Block, bias: Block): void {
  eachElement(x, (at, _, j) => {
    x.data[at] += bias.data[bias.offset + j];
  });
}

/** Row-major places of the chosen rows and columns in a dense matrix of the given size; null chooses all. */
export function chosenPlaces(
  size: { rows: number; cols: number },
  rows: Int32Array | null,
  cols: Int32Array | null,
): number[] {
  const chosenRows = rows ?? Int32Array.from({ length: size.rows }, (_, i) => i);
  const chosenCols = cols ?? Int32Array.from({ length: size.cols }, (_, j) => j);
  return [...chosenRows].flatMap((i) => Array.from(chosenCols, (j) => i * size.cols + j));
}
