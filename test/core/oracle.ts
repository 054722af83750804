import { type Plain, plainOf } from "../support/plain.ts";

/**
 * The official adjustment of one linear, step by step in f64 on plain arrays: every entry is sorted, every sub-block of 4 columns
 * is compensated in turn. Slow, and independent of the closed form in the package.
 */

export interface OracleResult {
  readonly weight: Plain;
  /** Row-major, 1 = takes the tuned weight. */
  readonly mask: Uint8Array;
  readonly blocks: readonly { readonly limit: number; readonly spent: number }[];
  /** Distance from the limit to the nearest cumulative loss, as a share of the limit: least over the blocks. */
  readonly margin: number;
}

const blockCols = 2048;
const subBlockCols = 4;

/** Lower Cholesky factor of a symmetric positive definite matrix. */
export function cholesky(h: Plain): Plain {
  const n = h.cols;
  const l = new Float64Array(n * n);
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let value = h.values[i * n + j];
      for (let k = 0; k < j; k++) value -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i === j ? Math.sqrt(value) : value / l[j * n + j];
    }
  }
  return plainOf(n, n, l);
}

/** H⁻¹ by forward and back substitution with its Cholesky factor. */
export function inverse(h: Plain): Plain {
  const n = h.cols;
  const { values: l } = cholesky(h);
  const out = new Float64Array(n * n);
  for (let col = 0; col < n; col++) {
    const y = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      let value = i === col ? 1 : 0;
      for (let k = 0; k < i; k++) value -= l[i * n + k] * y[k];
      y[i] = value / l[i * n + i];
    }
    for (let i = n - 1; i >= 0; i--) {
      let value = y[i];
      for (let k = i + 1; k < n; k++) value -= l[k * n + i] * out[k * n + col];
      out[i * n + col] = value / l[i * n + i];
    }
  }
  return plainOf(n, n, out);
}

/** The official factor: upper U with H⁻¹ = Uᵀ U, by Cholesky, inverse, Cholesky. */
export function officialFactor(h: Plain): Plain {
  const { values } = cholesky(inverse(h));
  const n = h.cols;
  return plainOf(
    n,
    n,
    values.map((_, at) => values[(at % n) * n + Math.floor(at / n)]),
  );
}

/** The official loop. @param u the factor, cols x cols; without `compensated` nothing is propagated */
export function officialAdjust(aligned: Plain, tuned: Plain, u: Plain, s: number, compensated = true): OracleResult {
  const { rows, cols } = aligned;
  const weight = aligned.values.slice();
  const mask = new Uint8Array(rows * cols);
  const blocks: { limit: number; spent: number }[] = [];
  let margin = Number.POSITIVE_INFINITY;
  for (let start = 0; start < cols; start += blockCols) {
    const end = Math.min(start + blockCols, cols);
    const found = selectBlock(weight, tuned.values, u, rows, start, end, s, mask);
    blocks.push(found);
    margin = Math.min(margin, found.margin);
    if (compensated) compensateBlock(weight, tuned.values, u, rows, start, end, mask);
  }
  const chosen = weight.map((value, at) => (mask[at] ? tuned.values[at] : value));
  return { weight: plainOf(rows, cols, chosen), mask, blocks, margin };
}

function selectBlock(
  weight: Float64Array,
  tuned: Float64Array,
  u: Plain,
  rows: number,
  start: number,
  end: number,
  s: number,
  mask: Uint8Array,
) {
  const { cols } = u;
  const entries: { at: number; sensitivity: number; loss: number }[] = [];
  for (let i = 0; i < rows; i++) {
    for (let j = start; j < end; j++) {
      const at = i * cols + j;
      const sensitivity = 1 / u.values[j * cols + j] ** 2;
      entries.push({ at, sensitivity, loss: (tuned[at] - weight[at]) ** 2 * sensitivity });
    }
  }
  const mean = entries.reduce((sum, entry) => sum + entry.sensitivity, 0) / entries.length;
  const limit = mean * (s / 2) * (rows / 4096);
  const nLeftOut = Math.floor(0.15 * entries.length);
  entries.sort((a, b) => a.sensitivity - b.sensitivity || a.at - b.at);
  let cumulative = 0;
  let spent = 0;
  let margin = Number.POSITIVE_INFINITY;
  for (const entry of entries.slice(0, -nLeftOut)) {
    cumulative += entry.loss;
    margin = Math.min(margin, Math.abs(cumulative - limit) / limit);
    if (cumulative > limit) continue;
    mask[entry.at] = 1;
    spent = cumulative;
  }
  return { limit, spent, margin };
}

function compensateBlock(
  weight: Float64Array,
  tuned: Float64Array,
  u: Plain,
  rows: number,
  start: number,
  end: number,
  mask: Uint8Array,
): void {
  const { cols } = u;
  for (let i = 0; i < rows; i++) {
    const errors = new Float64Array(cols);
    for (let from = start; from < end; from += subBlockCols) {
      const to = Math.min(from + subBlockCols, end);
      for (let j = from; j < to; j++) {
        const at = i * cols + j;
        const chosen = mask[at] ? tuned[at] : weight[at];
        errors[j] = (weight[at] - chosen) / u.values[j * cols + j];
        weight[at] = chosen;
      }
      for (let j = from; j < to; j++) spread(weight, u, i, j, to, end, errors[j]);
    }
    for (let j = start; j < end; j++) spread(weight, u, i, j, end, cols, errors[j]);
  }
}

/** Columns from … to of row i lose error · row j of U. */
function spread(
  weight: Float64Array,
  { cols, values: u }: Plain,
  i: number,
  j: number,
  from: number,
  to: number,
  error: number,
): void {
  for (let k = from; k < to; k++) weight[i * cols + k] -= error * u[j * cols + k];
}
