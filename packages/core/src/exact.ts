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
  using whitened = copyOf(engine, delta);
  engine.trmm(whitened, ordered.r, false);
  const curve = exactCurveOf(engine, whitened, ordered);
  const k = nKeptFor(curve, budget);
  const distances = moveRest(engine, delta, whitened, ordered.r, k);
  const kept = keptColumns(rows, cols, ordered.order.slice(0, k).sort());
  const weight = copyOf(engine, weights.aligned, (copy) => {
    if (k === 0) return;
    engine.scatter(delta, null, ordered.order, natural);
    engine.add(1, natural, copy);
    placeTuned(engine, weights.tuned, kept.blocks, copy);
  });
  return { weight, numbers: { ...exactNumbersOf(curve, budget, k, distances), kept } };
}

/**
 * The columns of `delta` from k on := D_T. With E = Δ R whitened, Δ_S R_ST = E_T − Δ_T R_TT, so (Δ − D)_T = E_T R_TT⁻¹, which is
 * left in the last columns of `whitened`.
 */
function moveRest(engine: Engine, delta: Matrix, whitened: Matrix, r: Matrix, k: number): Distances {
  const { rows, cols } = delta;
  const tuned = squaredNorm(engine, delta);
  if (k === 0) return { utilityGap: tuned, delta: 0, tuned };
  const n = cols - k;
  const gap = whitened.view(0, k, rows, n);
  engine.trsm(gap, r.view(k, k, n, n), false);
  engine.add(-1, gap, delta.view(0, k, rows, n));
  return { utilityGap: squaredNorm(engine, gap), delta: squaredNorm(engine, delta), tuned };
}
