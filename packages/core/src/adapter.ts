import type { Engine, Matrix } from "@safedelta/engine";
import { basisOf, directionsOf, gainsAt } from "./basis.ts";
import type { Budget } from "./budget.ts";
import { curveFrom, type OptimalCurve } from "./curve.ts";
import { fullLossOf, strengthFor } from "./dial.ts";
import type { Spectrum } from "./factor.ts";
import { checkFinite, checkShape, copyOf, difference, make, owning, product, sum } from "./matrix.ts";
import { commonNumbers, optimalNumbersOf, type RepairNumbers } from "./numbers.ts";
import type { TaskSpectrum } from "./task.ts";

/** A low-rank delta Δ = B A: a is r x cols, b is rows x r (the adapter's scale already folded into one of them). */
export interface Adapter {
  readonly a: Matrix;
  readonly b: Matrix;
}

/**
 * The curve of Δ = B A, from the factors alone (2 r·n² flops).
 * @throws CoreError `shape`, `notFinite`
 */
export function adapterCurve(engine: Engine, adapter: Adapter, factor: Spectrum | TaskSpectrum): OptimalCurve {
  const { forward } = directionsOf(factor);
  checkAdapter(engine, adapter, forward.rows);
  using gram = gramOf(engine, adapter.b);
  using turned = product(engine, adapter.a, forward);
  return curveFrom(basisOf(factor), squaresUnder(engine, gram, turned));
}

/**
 * A′ = A M (r x cols, new): B A′ is the repaired delta of `optimal` at this strength, of the same rank.
 * @param strength 0 … Infinity; 0 gives a copy of A, Infinity zeros
 * @throws CoreError `shape`
 */
export function adapterProduct(engine: Engine, a: Matrix, factor: Spectrum | TaskSpectrum, strength: number): Matrix {
  const { forward, backward } = directionsOf(factor);
  checkShape("The adapter's A", a, a.rows, forward.rows);
  if (strength === 0) return copyOf(engine, a);
  const { ratios, unit } = basisOf(factor);
  using turned = product(engine, a, forward);
  engine.scaleCols(turned, Float32Array.from(gainsAt(ratios, unit, strength)));
  return product(engine, turned, backward, true);
}

/**
 * A′ for any budget of `optimal` but `globalLoss`, with the numbers of the merged repair. The caller disposes `a`.
 * @throws CoreError `shape`, `notFinite`, `budget`
 */
export function repairAdapter(
  engine: Engine,
  adapter: Adapter,
  factor: Spectrum | TaskSpectrum,
  budget: Budget,
): { a: Matrix; numbers: RepairNumbers } {
  const curve = adapterCurve(engine, adapter, factor);
  const strength = strengthFor(curve, budget);
  return owning(adapterProduct(engine, adapter.a, factor, strength), (a) => {
    using gram = gramOf(engine, adapter.b);
    using change = difference(engine, a, adapter.a);
    const [utilityGap, delta, tuned] = [change, a, adapter.a].map((m) => sum(squaresUnder(engine, gram, m)));
    return { a, numbers: optimalNumbersOf(curve, budget, strength, { utilityGap, delta, tuned }) };
  });
}

/**
 * The numbers of a repaired adapter after its A was rounded to a storage type. Budget and dial stay.
 * @param written A′ as stored, r x cols, widened to f32 again
 */
export function adapterNumbersAsWritten(
  engine: Engine,
  numbers: RepairNumbers,
  { a, b }: Adapter,
  written: Matrix,
  factor: Spectrum,
): RepairNumbers {
  using gram = gramOf(engine, b);
  using change = difference(engine, written, a);
  const safetyLoss = fullLossOf(adapterCurve(engine, { a: written, b }, factor)); // of the delta B A′ itself
  const [utilityGap, delta] = [change, written].map((m) => sum(squaresUnder(engine, gram, m)));
  const { keptShare, fullSafetyLoss, tunedDeltaNorm, ...dial } = numbers;
  const distances = { utilityGap, delta, tuned: tunedDeltaNorm ** 2 };
  return { ...dial, ...commonNumbers(keptShare, safetyLoss, fullSafetyLoss, distances) };
}

function checkAdapter(engine: Engine, { a, b }: Adapter, cols: number): void {
  checkShape("The adapter's A", a, b.cols, cols);
  checkFinite(engine, "The adapter's A", a);
  checkFinite(engine, "The adapter's B", b);
}

/** BᵀB, r x r. */
function gramOf(engine: Engine, b: Matrix): Matrix {
  return make(engine, b.cols, b.cols, (gram) => {
    engine.syrk(1, b, 0, gram);
    engine.mirror(gram);
  });
}

/** ‖(B X)_j‖² for each column j of X (r x n), from BᵀB. */
function squaresUnder(engine: Engine, gram: Matrix, x: Matrix): Float64Array {
  using weighted = product(engine, gram, x);
  const left = engine.read(x);
  const right = engine.read(weighted);
  const squares = new Float64Array(x.cols);
  left.forEach((value, i) => {
    squares[i % x.cols] += value * right[i];
  });
  return squares.map((square) => Math.max(square, 0)); // a square: below zero is rounding
}
