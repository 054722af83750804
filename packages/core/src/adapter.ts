import type { Engine, Matrix } from "@safedelta/engine";
import { basisOf, directionsOf } from "./basis.ts";
import type { Budget } from "./budget.ts";
import { curveFrom, type OptimalCurve } from "./curve.ts";
import type { OptimalFactor, Spectrum } from "./factor.ts";
import { type ColumnSquares, colsOf, type Filter, filterOf, type Losses } from "./filter.ts";
import { checkFinite, checkShape, difference, make, owning, product, sum } from "./matrix.ts";
import { commonNumbers, optimalNumbersOf, type RepairNumbers } from "./numbers.ts";
import type { TaskFactor, TaskSpectrum } from "./task.ts";

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
  using turned = product(engine, adapter.a, forward);
  return withSquares(engine, adapter, (squares) => curveFrom(basisOf(factor), squares(turned)));
}

/**
 * The losses of Δ = B A at one strength, as `optimalLosses`.
 * @throws CoreError `shape`, `notFinite`
 */
export function adapterLosses(engine: Engine, adapter: Adapter, factor: OptimalFactor, strength: number): Losses {
  return withFilter(engine, adapter, factor, (filter) => filter.lossesAt(strength));
}

/**
 * A′ = A M for any budget of `optimal` but `globalLoss`: B A′ is the repaired delta, of the same rank; with the numbers of the merged
 * repair. The caller disposes `a`.
 * @throws CoreError `shape`, `notFinite`, `budget`
 */
export function repairAdapter(
  engine: Engine,
  adapter: Adapter,
  factor: OptimalFactor | TaskFactor,
  budget: Budget,
): { a: Matrix; numbers: RepairNumbers } {
  return withFilter(engine, adapter, factor, (filter, squares) => {
    const strength = filter.strengthFor(budget);
    const losses = filter.lossesAt(strength);
    return owning(filter.deltaAt(strength), (a) => {
      using change = difference(engine, a, adapter.a);
      const [utilityGap, delta, tuned] = [change, a, adapter.a].map((m) => sum(squares(m)));
      return { a, numbers: optimalNumbersOf(losses, budget, strength, { utilityGap, delta, tuned }) };
    });
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
  factor: OptimalFactor,
): RepairNumbers {
  const safetyLoss = withFilter(engine, { a: written, b }, factor, (filter) => filter.fullLoss); // of the delta B A′ itself
  const [utilityGap, delta] = withSquares(engine, { a, b }, (squares) => {
    using change = difference(engine, written, a);
    return [change, written].map((m) => sum(squares(m)));
  });
  const { keptShare, fullSafetyLoss, tunedDeltaNorm, ...dial } = numbers;
  const distances = { utilityGap, delta, tuned: tunedDeltaNorm ** 2 };
  return { ...dial, ...commonNumbers(keptShare, safetyLoss, fullSafetyLoss, distances) };
}

/** `use` the filter of A whose losses are those of B A. */
function withFilter<T>(
  engine: Engine,
  adapter: Adapter,
  factor: OptimalFactor | TaskFactor,
  use: (filter: Filter, squares: ColumnSquares) => T,
): T {
  checkAdapter(engine, adapter, colsOf(factor));
  return withSquares(engine, adapter, (squares) => {
    using filter = filterOf(engine, adapter.a, factor, squares);
    return use(filter, squares);
  });
}

/** `use` what gives ‖(B X)_j‖² for each column j of X (r x n). */
function withSquares<T>(engine: Engine, { b }: Adapter, use: (squares: ColumnSquares) => T): T {
  using gram = gramOf(engine, b);
  return use((x) => squaresUnder(engine, gram, x));
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
