import { type Block, denseCopy, eachElement } from "./block.ts";

/** C := beta · C, where beta = 0 clears even NaN. */
function scale(c: Block, beta: number): void {
  eachElement(c, (at) => {
    c.data[at] = beta === 0 ? 0 : beta * c.data[at];
  });
}

/** C[i][j] := alpha · Σ_k op(A)[i][k] op(B)[k][j] + beta · C[i][j]. */
export function gemm(
  alpha: number,
  a: Block,
  transA: boolean,
  b: Block,
  transB: boolean,
  beta: number,
  c: Block,
): void {
  const left = denseCopy(a, transA); // rows(C) x depth
  const right = denseCopy(b, transB); // depth x cols(C)
  const depth = transA ? a.rows : a.cols;
  scale(c, beta);
  for (let i = 0; i < c.rows; i++) {
    const ci = c.offset + i * c.stride;
    for (let k = 0; k < depth; k++) {
      const factor = alpha * left[i * depth + k];
      for (let j = 0; j < c.cols; j++) c.data[ci + j] += factor * right[k * c.cols + j];
    }
  }
}

/** C[i][j] := alpha · Σ_k A[k][i] A[k][j] + beta · C[i][j] for i ≤ j; the strictly lower part stays. */
export function syrk(alpha: number, a: Block, beta: number, c: Block): void {
  const n = c.cols;
  for (let i = 0; i < n; i++) {
    scale({ ...c, offset: c.offset + i * c.stride + i, rows: 1, cols: n - i }, beta);
    const ci = c.offset + i * c.stride;
    for (let k = 0; k < a.rows; k++) {
      const ak = a.offset + k * a.stride;
      const factor = alpha * a.data[ak + i];
      for (let j = i; j < n; j++) c.data[ci + j] += factor * a.data[ak + j];
    }
  }
}

/** m[j][i] := m[i][j] for i < j. */
export function mirror(m: Block): void {
  eachElement(m, (at, i, j) => {
    if (i > j) m.data[at] = m.data[m.offset + j * m.stride + i];
  });
}
