/** What the reference computes on: a rectangle of f64 numbers inside a row-major array. Element (i, j) is data[offset + i·stride + j]. */
export interface Block {
  readonly data: Float64Array;
  readonly offset: number;
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
}

/** A copy of row i. */
export function copyRow(m: Block, i: number): Float64Array {
  const start = m.offset + i * m.stride;
  return m.data.slice(start, start + m.cols);
}

/** op(m) as a new array without gaps, row-major. */
export function denseCopy(m: Block, transposed: boolean): Float64Array {
  const out = new Float64Array(m.rows * m.cols);
  for (let i = 0; i < m.rows; i++) {
    for (let j = 0; j < m.cols; j++) {
      out[transposed ? j * m.rows + i : i * m.cols + j] = m.data[m.offset + i * m.stride + j];
    }
  }
  return out;
}

/** Σ_{k≥from} m[i][k] · m[j][k]. */
export function dotRows(m: Block, i: number, j: number, from: number): number {
  const a = m.offset + i * m.stride;
  const b = m.offset + j * m.stride;
  let sum = 0;
  for (let k = from; k < m.cols; k++) sum += m.data[a + k] * m.data[b + k];
  return sum;
}

/** Call `visit` with the place of every element and its row and column. */
export function eachElement(m: Block, visit: (at: number, i: number, j: number) => void): void {
  for (let i = 0; i < m.rows; i++) {
    for (let j = 0; j < m.cols; j++) visit(m.offset + i * m.stride + j, i, j);
  }
}
