import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget } from "./budget.ts";
import { placeTuned } from "./compensate.ts";
import { exactCurveOf } from "./curve.ts";
import { nKeptFor } from "./dial.ts";
import type { OrderedFactor } from "./factor.ts";
import { keptColumns } from "./kept.ts";
import { columnsOf, copyOf, difference, squaredNorm } from "./matrix.ts";
import { type Distances, exactNumbersOf } from "./numbers.ts";
import type { Repair, Weights } from "./repair.ts";

/**
 * Mode `exact`: the first k columns S in order keep Δ, the others T take what minimises the safety loss,
 * D_T = −Δ_S R_ST R_TT⁻¹. Shapes are checked by the caller.
 */
export function repairExact(engine: Engine, weights: Weights, ordered: OrderedFactor, budget: Budget): Repair {
  const { rows, cols } = weights.aligned;
  using natural = difference(engine, weights.tuned, weights.aligned);
  using delta = columnsOf(engine, natural, ordered.order); // columns in order from here on
  using work = copyOf(engine, delta);
  engine.trmm(work, ordered.r, false);
  const curve = exactCurveOf(engine, work, ordered);
  const k = nKeptFor(curve, budget);
  moveRest(engine, delta, ordered.r, k, work);
  const distances = distancesOf(engine, delta, work.view(0, k, rows, cols - k), k);
  const kept = keptColumns(rows, cols, ordered.order.slice(0, k).sort());
  const weight = copyOf(engine, weights.aligned, (copy) => {
    if (k === 0) return;
    engine.scatter(work, null, ordered.order, natural);
    engine.add(1, natural, copy);
    placeTuned(engine, weights.tuned, kept.blocks, copy);
  });
  return { weight, numbers: { ...exactNumbersOf(curve, budget, k, distances), kept } };
}

/** The last columns of `out` from k on := D_T. */
function moveRest(engine: Engine, delta: Matrix, r: Matrix, k: number, out: Matrix): void {
  const { rows, cols } = delta;
  const rest = out.view(0, k, rows, cols - k);
  engine.gemm(-1, delta.view(0, 0, rows, k), false, r.view(0, k, k, cols - k), false, 0, rest);
  engine.trsm(rest, r.view(k, k, cols - k, cols - k), false);
}

/** @param rest D_T; the same columns of `delta` are overwritten */
function distancesOf(engine: Engine, delta: Matrix, rest: Matrix, k: number): Distances {
  const tuned = squaredNorm(engine, delta);
  const keptSquares = squaredNorm(engine, delta.view(0, 0, delta.rows, k));
  const gap = delta.view(0, k, delta.rows, delta.cols - k);
  engine.add(-1, rest, gap);
  return { utilityGap: squaredNorm(engine, gap), delta: keptSquares + squaredNorm(engine, rest), tuned };
}
