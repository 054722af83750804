import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget } from "./budget.ts";
import type { OptimalFactor } from "./factor.ts";
import { filterOf } from "./filter.ts";
import { type Kept, keptColumns } from "./kept.ts";
import { difference, owning, squaredNorm } from "./matrix.ts";
import { optimalNumbersOf } from "./numbers.ts";
import type { Repair, Weights } from "./repair.ts";
import type { TaskFactor } from "./task.ts";

/** Mode `optimal`, plain or with task data: D = Δ M(λ). Shapes are checked by the callers. */
export function repairOptimal(
  engine: Engine,
  weights: Weights,
  factor: OptimalFactor | TaskFactor,
  budget: Budget,
): Repair {
  using delta = difference(engine, weights.tuned, weights.aligned);
  using filter = filterOf(engine, delta, factor);
  const tuned = squaredNorm(engine, delta);
  const strength = filter.strengthFor(budget);
  const losses = filter.lossesAt(strength);
  return owning(filter.deltaAt(strength), (d) => {
    engine.add(-1, d, delta);
    const distances = { utilityGap: squaredNorm(engine, delta), delta: squaredNorm(engine, d), tuned };
    addAligned(engine, weights, strength, d);
    const kept = allOrNothing(delta, strength === 0);
    return { weight: d, numbers: { ...optimalNumbersOf(losses, budget, strength, distances), kept } };
  });
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
