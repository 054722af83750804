import { EngineError, NotPositiveDefiniteError } from "../engine.ts";
import { type Block, copyRow, dotRows } from "./block.ts";

/**
 * Reverse Cholesky H = R Rᵀ in place, columns from the last to the first:
 * R[j][j] = √(H[j][j] − Σ_{k>j} R[j][k]²), R[i][j] = (H[i][j] − Σ_{k>j} R[i][k] R[j][k]) / R[j][j] for i < j.
 */
export function choleskyReverse(h: Block): void {
  const n = h.rows;
  for (let j = n - 1; j >= 0; j--) {
    const jj = h.offset + j * h.stride + j;
    const pivot = h.data[jj] - dotRows(h, j, j, j + 1);
    if (!(pivot > 0)) throw new NotPositiveDefiniteError("choleskyReverse", j, n);
    h.data[jj] = Math.sqrt(pivot);
    for (let i = 0; i < j; i++) {
      const ij = h.offset + i * h.stride + j;
      h.data[ij] = (h.data[ij] - dotRows(h, i, j, j + 1)) / h.data[jj];
    }
  }
  clearBelowDiagonal(h);
}

function clearBelowDiagonal(m: Block): void {
  for (let i = 1; i < m.rows; i++) m.data.fill(0, m.offset + i * m.stride, m.offset + i * m.stride + i);
}

/** Throws where a triangle cannot be inverted. */
function requireNonZeroDiagonal(operation: string, r: Block): void {
  for (let i = 0; i < r.rows; i++) {
    if (r.data[r.offset + i * r.stride + i] !== 0) continue;
    throw new EngineError(operation, `diagonal element ${i} of the ${r.rows} x ${r.rows} triangle is zero`);
  }
}

/** X = R⁻¹ in place, rows from the last: X[i][i] = 1 / R[i][i], X[i][j] = −X[i][i] · Σ_{i<k≤j} R[i][k] X[k][j]. */
export function invertTriangle(r: Block): void {
  requireNonZeroDiagonal("invertTriangle", r);
  const n = r.rows;
  for (let i = n - 1; i >= 0; i--) {
    const row = copyRow(r, i);
    const at = r.offset + i * r.stride;
    const inverse = 1 / row[i];
    r.data.fill(0, at + i + 1, at + n);
    for (let k = i + 1; k < n; k++) {
      const factor = -inverse * row[k];
      for (let j = k; j < n; j++) r.data[at + j] += factor * r.data[r.offset + k * r.stride + j];
    }
    r.data[at + i] = inverse;
  }
}

/** Each row b of B becomes b op(R): Σ_{k≤j} b[k] R[k][j], or Σ_{k≥j} b[k] R[j][k] when transposed. */
export function trmm(b: Block, r: Block, transR: boolean): void {
  const n = r.rows;
  for (let i = 0; i < b.rows; i++) {
    const row = copyRow(b, i);
    const at = b.offset + i * b.stride;
    b.data.fill(0, at, at + n);
    for (let k = 0; k < n; k++) {
      const rk = r.offset + k * r.stride;
      if (transR) for (let j = k; j < n; j++) b.data[at + k] += row[j] * r.data[rk + j];
      else for (let j = k; j < n; j++) b.data[at + j] += row[k] * r.data[rk + j];
    }
  }
}

/** Solve X op(R) = B in place by substitution: first column first, or last column first when transposed. */
export function trsm(b: Block, r: Block, transR: boolean): void {
  requireNonZeroDiagonal("trsm", r);
  for (let i = 0; i < b.rows; i++) {
    const at = b.offset + i * b.stride;
    if (transR) solveRowTransposed(b.data, at, r);
    else solveRow(b.data, at, r);
  }
}

/** x[j] = (b[j] − Σ_{k<j} x[k] R[k][j]) / R[j][j], j ascending; each x[j] is subtracted from what follows at once. */
function solveRow(x: Float64Array, at: number, r: Block): void {
  for (let j = 0; j < r.rows; j++) {
    const rj = r.offset + j * r.stride;
    const value = x[at + j] / r.data[rj + j];
    x[at + j] = value;
    for (let k = j + 1; k < r.rows; k++) x[at + k] -= value * r.data[rj + k];
  }
}

/** x[j] = (b[j] − Σ_{k>j} x[k] R[j][k]) / R[j][j], j descending. */
function solveRowTransposed(x: Float64Array, at: number, r: Block): void {
  for (let j = r.rows - 1; j >= 0; j--) {
    const rj = r.offset + j * r.stride;
    let sum = x[at + j];
    for (let k = j + 1; k < r.rows; k++) sum -= x[at + k] * r.data[rj + k];
    x[at + j] = sum / r.data[rj + j];
  }
}
