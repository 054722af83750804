import type { Engine, Matrix } from "@safedelta/engine";
import { type InverseFactor, sensitivityOf } from "./factor.ts";
import type { KeptBlock } from "./kept.ts";
import { columnsOf, copyOf } from "./matrix.ts";

/** Columns that the official code adjusts at once: inside such a sub-block no error is propagated. */
const subBlockCols = 4;

/**
 * Spread the errors of the kept entries over the later columns, as the official code does (OBS updates in natural order), in
 * closed form: E Ũ_SS = −Δ_S, then W_T −= E Ũ_ST for all other columns T, where Ũ is U without propagation inside sub-blocks. The
 * kept entries themselves are left as they are: `placeTuned` sets them.
 * @param delta tuned − current weights of the block of columns, rows x width
 * @param start first column of the block (a multiple of 4)
 * @param blocks kept entries, columns counted from `start`
 * @param weight rows x cols; columns from `start` on are changed in rows that keep something
 */
export function compensateLater(
  engine: Engine,
  { u }: InverseFactor,
  delta: Matrix,
  start: number,
  blocks: readonly KeptBlock[],
  weight: Matrix,
): void {
  const nLater = u.cols - start;
  for (const { row, nRows, cols } of blocks) {
    using spread = engine.alloc(cols.length, nLater); // Ũ, rows of the kept columns
    engine.gather(u.view(start, start, delta.cols, nLater), cols, null, spread);
    dropSubBlocks(engine, spread, cols);
    using triangle = columnsOf(engine, spread, cols); // Ũ_SS
    using error = columnsOf(engine, delta.view(row, 0, nRows, delta.cols), cols); // Δ_S, then −E
    engine.trsm(error, triangle, false);
    const others = otherColumns(cols, nLater);
    using spreadOthers = columnsOf(engine, spread, others); // Ũ_ST
    const current = weight.view(row, start, nRows, nLater);
    using moved = columnsOf(engine, current, others);
    engine.gemm(1, error, false, spreadOthers, false, 1, moved);
    engine.scatter(moved, null, others, current);
  }
}

/** The columns 0 … n − 1 that are not in `cols`. */
function otherColumns(cols: Int32Array, n: number): Int32Array {
  const isKept = new Uint8Array(n);
  for (const col of cols) isKept[col] = 1;
  return Int32Array.from(isKept.keys()).filter((col) => isKept[col] === 0);
}

/** Zero what U would propagate from column cols[i] (row i) to the rest of its sub-block. */
function dropSubBlocks(engine: Engine, spread: Matrix, cols: Int32Array): void {
  cols.forEach((col, i) => {
    const end = Math.min((Math.floor(col / subBlockCols) + 1) * subBlockCols, spread.cols);
    if (col + 1 < end) engine.fill(spread.view(i, col + 1, 1, end - col - 1), 0);
  });
}

/**
 * The paper's compensation: weight += Σ_m δ_m/[H⁻¹]_mm · H⁻¹_{m,:}, the sum over the kept entries m of each row. The kept
 * entries themselves are left wrong; `placeTuned` makes them exact.
 * @param delta Δ, rows x cols
 */
export function compensateAll(
  engine: Engine,
  inverse: InverseFactor,
  delta: Matrix,
  blocks: readonly KeptBlock[],
  weight: Matrix,
): void {
  const sensitivity = sensitivityOf(engine, inverse);
  for (const { row, nRows, cols } of blocks) {
    const factors = new Float32Array(delta.cols);
    for (const col of cols) factors[col] = sensitivity[col];
    using spread = copyOf(engine, delta.view(row, 0, nRows, delta.cols));
    engine.scaleCols(spread, factors);
    engine.trmm(spread, inverse.u, true);
    engine.trmm(spread, inverse.u, false);
    engine.add(1, spread, weight.view(row, 0, nRows, weight.cols));
  }
}

/** Copy the kept entries of `tuned` into `weight`, bit for bit. Both rows x cols, columns of the blocks counted from their first. */
export function placeTuned(engine: Engine, tuned: Matrix, blocks: readonly KeptBlock[], weight: Matrix): void {
  for (const { row, nRows, cols } of blocks) {
    using columns = columnsOf(engine, tuned.view(row, 0, nRows, tuned.cols), cols);
    engine.scatter(columns, null, cols, weight.view(row, 0, nRows, weight.cols));
  }
}
