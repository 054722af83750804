import type { Engine, Matrix } from "@safedelta/engine";
import { copyOf, product } from "./matrix.ts";

/** Rows of the n x n matrices that `exactNorms` copies out at once. */
const panelRows = 256;

/**
 * ‖D‖² and ‖D − Δ‖² of `exact` for each number k = 0 … n of kept columns.
 * With E_S the first k columns of E, D = [E_S 0] R⁻¹ and D − Δ = −[0 E_T] R⁻¹. So ‖D‖² is the sum over the leading k x k part of
 * P = (EᵀE) ∘ (R⁻¹R⁻ᵀ), and ‖D − Δ‖² over the trailing rest: one pass gives both for all k.
 * @param whitened E = Δ R, rows x n, columns in order
 * @param r R upper, n x n
 */
export function exactNorms(engine: Engine, whitened: Matrix, r: Matrix): { kept: Float64Array; gap: Float64Array } {
  const n = r.cols;
  using gram = engine.alloc(n, n);
  engine.syrk(1, whitened, 0, gram);
  using inverse = copyOf(engine, r);
  engine.invertTriangle(inverse);
  using outer = product(engine, inverse, inverse, true);
  const kept = new Float64Array(n + 1); // kept[j + 1]: what column j adds to the leading part, then summed
  const gap = new Float64Array(n + 1); // gap[i]: what row i adds to the trailing part, then summed
  for (let start = 0; start < n; start += panelRows) {
    const size = Math.min(panelRows, n - start);
    const a = engine.read(gram.view(start, 0, size, n));
    const b = engine.read(outer.view(start, 0, size, n));
    for (let i = start; i < start + size; i++) addRow(i, a, b, (i - start) * n, kept, gap);
  }
  for (let k = 1; k <= n; k++) kept[k] += kept[k - 1];
  for (let k = n - 1; k >= 0; k--) gap[k] += gap[k + 1];
  return { kept, gap };
}

/** Add row i of the upper triangle of P (each off-diagonal entry counts twice). */
function addRow(
  i: number,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  at: number,
  kept: Float64Array,
  gap: Float64Array,
): void {
  for (let j = i; j < gap.length - 1; j++) {
    const entry = a[at + j] * b[at + j] * (j === i ? 1 : 2);
    kept[j + 1] += entry;
    gap[i] += entry;
  }
}
