/** Entries that take the tuned weight: `cols` (ascending) of the rows `row` … `row + nRows − 1`. */
export interface KeptBlock {
  readonly row: number;
  readonly nRows: number;
  readonly cols: Int32Array;
}

/** Which entries of a rows x cols linear take the tuned weight bit for bit; the blocks do not overlap. */
export interface Kept {
  readonly rows: number;
  readonly cols: number;
  readonly blocks: readonly KeptBlock[];
}

/** The given columns (ascending) of every row. */
export function keptColumns(rows: number, cols: number, columns: Int32Array): Kept {
  return { rows, cols, blocks: columns.length === 0 ? [] : [{ row: 0, nRows: rows, cols: columns }] };
}

/** Number of kept entries. */
export function nKept(kept: Kept): number {
  return kept.blocks.reduce((sum, block) => sum + block.nRows * block.cols.length, 0);
}

/** The mask, row-major, rows·cols bytes of 0 or 1. */
export function keptMask(kept: Kept): Uint8Array {
  const mask = new Uint8Array(kept.rows * kept.cols);
  for (const { row, nRows, cols } of kept.blocks) {
    for (let i = row; i < row + nRows; i++) for (const j of cols) mask[i * kept.cols + j] = 1;
  }
  return mask;
}
