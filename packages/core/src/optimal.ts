import type { Engine, Matrix } from "@safedelta/engine";
import { basisOf, directionsOf, gainsAt } from "./basis.ts";
import type { Budget } from "./budget.ts";
import { curveFrom, type OptimalCurve } from "./curve.ts";
import { strengthFor } from "./dial.ts";
import type { Spectrum } from "./factor.ts";
import { type Kept, keptColumns } from "./kept.ts";
import { copyOf, difference, owning, product, squaredNorm } from "./matrix.ts";
import { optimalNumbersOf } from "./numbers.ts";
import type { Repair, Weights } from "./repair.ts";
import type { TaskSpectrum } from "./task.ts";

/** Mode `optimal`, plain or with task data: D = Δ M, M = forward · diag(gain) · backwardᵀ. Shapes are checked by the callers. */
export function repairOptimal(
  engine: Engine,
  weights: Weights,
  factor: Spectrum | TaskSpectrum,
  budget: Budget,
): Repair {
  using delta = difference(engine, weights.tuned, weights.aligned);
  const tuned = squaredNorm(engine, delta);
  using turned = product(engine, delta, directionsOf(factor).forward);
  const curve = curveFrom(basisOf(factor), engine.columnSquares(turned));
  const strength = strengthFor(curve, budget);
  return owning(partialDelta(engine, delta, turned, curve, factor, strength), (d) => {
    engine.add(-1, d, delta);
    const distances = { utilityGap: squaredNorm(engine, delta), delta: squaredNorm(engine, d), tuned };
    addAligned(engine, weights, strength, d);
    const kept = allOrNothing(delta, strength === 0);
    return { weight: d, numbers: { ...optimalNumbersOf(curve, budget, strength, distances), kept } };
  });
}

/** D, new. `turned` (Δ · forward) is overwritten. At the ends of the dial D is Δ or zero without rounding. */
function partialDelta(
  engine: Engine,
  delta: Matrix,
  turned: Matrix,
  { ratios, unit }: OptimalCurve,
  factor: Spectrum | TaskSpectrum,
  strength: number,
): Matrix {
  if (strength === 0) return copyOf(engine, delta);
  if (strength === Number.POSITIVE_INFINITY) return engine.alloc(delta.rows, delta.cols);
  engine.scaleCols(turned, Float32Array.from(gainsAt(ratios, unit, strength)));
  return product(engine, turned, directionsOf(factor).backward, true);
}

/** Single entries are never kept here: all of them, or none. */
function allOrNothing({ rows, cols }: Matrix, isAll: boolean): Kept {
  return keptColumns(
    rows,
    cols,
    Int32Array.from({ length: isAll ? cols : 0 }, (_, j) => j),
  );
}

/** Turn D into aligned + D in place; at the ends of the dial into a copy of the tuned or aligned weights, bit for bit. */
function addAligned(engine: Engine, { aligned, tuned }: Weights, strength: number, d: Matrix): void {
  if (strength === 0) engine.convert(tuned, d);
  else if (strength === Number.POSITIVE_INFINITY) engine.convert(aligned, d);
  else engine.add(1, aligned, d);
}
