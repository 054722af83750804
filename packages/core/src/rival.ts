import type { Engine, Matrix } from "@safedelta/engine";
import { CoreError } from "./errors.ts";
import type { PreparedGroup } from "./factor.ts";
import { nKept } from "./kept.ts";
import { difference, owning, squaredNorm } from "./matrix.ts";
import { moveByRival } from "./moveByRival.ts";
import { commonNumbers } from "./numbers.ts";
import { checkWeights, type Repair, type Weights } from "./repair.ts";
import { safetyLossOf } from "./written.ts";

/**
 * A published method that repairs are compared with, and its own dials; W aligned, Δ = tuned − aligned, W_u a third model.
 * Sources, and where paper and code part, are in docs/rivals.md.
 * - `safe-lora`: W + C Δ where cos(C Δ, Δ) <= threshold, else tuned; C = V Vᵀ/‖V‖, V = W − W_u, W_u not aligned.
 * - `resta`: W + DARE(Δ) + gamma (W − W_u), W_u not aligned.
 * - `wise-ft`: (1 − alpha) W + alpha tuned.
 * - `negation`: tuned − weight (W_u − W), W_u tuned to do harm.
 * - `random-mask`: a share `keep` of the entries takes the tuned weight, the others the aligned one.
 * - `dare`: W + DARE(Δ): a share `drop` of the entries of Δ becomes zero, the others are divided by 1 − drop.
 */
export type Rival =
  | { readonly method: "safe-lora"; readonly threshold: number }
  | { readonly method: "resta"; readonly gamma: number; readonly drop: number }
  | { readonly method: "wise-ft"; readonly alpha: number }
  | { readonly method: "negation"; readonly weight: number }
  | { readonly method: "random-mask"; readonly keep: number }
  | { readonly method: "dare"; readonly drop: number };

/** One linear of the models that a rival reads, rows x cols, f32. */
export interface RivalWeights extends Weights {
  /** W_u, for the methods that name one. */
  readonly third?: Matrix;
}

/** The dials of each method and their ranges, ends included. A drop of 1 would divide by zero. */
const ranges: Readonly<Record<string, readonly [low: number, high: number]>> = {
  threshold: [-1, 1],
  gamma: [0, Number.MAX_VALUE],
  drop: [0, 1 - Number.EPSILON],
  alpha: [0, 1],
  weight: [0, Number.MAX_VALUE],
  keep: [0, 1],
};

/** @throws CoreError `budget` naming the first dial that is out of its range */
export function checkRival(rival: Rival): void {
  const { method, ...dials } = rival;
  for (const [name, value] of Object.entries<number>(dials)) {
    const [low, high] = ranges[name];
    if (value >= low && value <= high) continue;
    const range = high === Number.MAX_VALUE ? `be ${low} or more` : `lie in ${low} … ${Math.ceil(high)}`;
    throw new CoreError(
      "budget",
      `${method}: ${name} must ${range}${high < 1 ? ", 1 left out" : ""}, but is ${value}.`,
    );
  }
}

/**
 * Let a rival make the weight of one linear, and measure it as repairs are measured. The inputs stay as they are.
 * @param prepared any factor of the group, for the safety loss
 * @param random uniform in [0, 1): one draw for each entry in row-major order, where the method draws
 * @throws CoreError `shape`, `notFinite`, `budget`; `noDirection` where aligned and third weight are the same for `safe-lora`
 */
export function repairByRival(
  engine: Engine,
  rival: Rival,
  weights: RivalWeights,
  prepared: PreparedGroup,
  random: () => number,
): Repair {
  checkRival(rival);
  checkWeights(engine, weights, prepared.cols);
  const { weight, kept, ...own } = moveByRival(engine, rival, weights, random);
  return owning(weight, () => {
    using delta = difference(engine, weights.tuned, weights.aligned);
    using change = difference(engine, weight, weights.aligned);
    using gap = difference(engine, weight, weights.tuned);
    const [safetyLoss, full] = [change, delta].map((d) => safetyLossOf(engine, d, prepared));
    const [utilityGap, moved, tuned] = [gap, change, delta].map((m) => squaredNorm(engine, m));
    const share = nKept(kept) / (kept.rows * kept.cols);
    const numbers = commonNumbers(share, safetyLoss, full, { utilityGap, delta: moved, tuned });
    return { weight, numbers: { ...numbers, ...own, budget: safetyLoss, kept } };
  });
}
