import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget } from "./budget.ts";
import { placeTuned } from "./compensate.ts";
import { CoreError } from "./errors.ts";
import type { InverseFactor } from "./factor.ts";
import { type KeptBlock, nKept } from "./kept.ts";
import { copyOf, difference, mean, owning, squaredNorm, sum } from "./matrix.ts";
import { commonNumbers, type Distances, type RepairNumbers } from "./numbers.ts";
import type { Repair, Weights } from "./repair.ts";
import { type PrefixMode, type Rule, rules } from "./rules.ts";
import { longestWithin, type Trial } from "./scale.ts";
import { selectPrefix } from "./select.ts";

/** One linear under one rule: what does not depend on the scale. */
interface Linear {
  readonly weights: Weights;
  readonly factor: InverseFactor;
  readonly rule: Rule;
  /** First column and number of columns of each block. */
  readonly spans: readonly { readonly start: number; readonly width: number }[];
  /** Sensitivity of each column, and the budget of each block at scale 1. */
  readonly sensitivity: Float64Array;
  readonly units: Float64Array;
}

/** The repair at one scale. */
interface Attempt extends Trial {
  /** Loss spent in each block, in the units of Δ²·sensitivity. */
  readonly spent: Float64Array;
  readonly distances: Omit<Distances, "tuned">;
}

/** Modes `reference`, `none` and `paper`: entries are kept by a prefix rule. Shapes are checked by the caller. */
export function repairByPrefix(
  engine: Engine,
  mode: PrefixMode,
  weights: Weights,
  factor: InverseFactor,
  budget: Budget,
): Repair {
  const linear = linearOf(engine, mode, weights, factor);
  using delta = difference(engine, weights.tuned, weights.aligned);
  const tuned = squaredNorm(engine, delta);
  const fullSafetyLoss = inverseLoss(engine, delta, factor);
  const attempt = attemptFor(engine, linear, budget, fullSafetyLoss);
  const keptShare = nKept(attempt.kept) / (attempt.kept.rows * attempt.kept.cols);
  const numbers = commonNumbers(keptShare, attempt.safetyLoss, fullSafetyLoss, { ...attempt.distances, tuned });
  const { weight, kept } = attempt;
  return { weight, numbers: { ...numbers, ...spendingOf(linear, attempt), kept } };
}

function linearOf(engine: Engine, mode: PrefixMode, weights: Weights, factor: InverseFactor): Linear {
  const { rows, cols } = weights.aligned;
  const rule = rules[mode];
  const sensitivity = rule.sensitivity(engine, factor);
  const blockCols = rule.blockCols === "all" ? cols : rule.blockCols;
  const spans = Array.from({ length: Math.ceil(cols / blockCols) }, (_, block) => {
    return { start: block * blockCols, width: Math.min(blockCols, cols - block * blockCols) };
  });
  const units = Float64Array.from(spans, ({ start, width }) => {
    return rule.budgetFactor * (rows / 4096) * mean(sensitivity.subarray(start, start + width));
  });
  return { weights, factor, rule, spans, sensitivity, units };
}

function attemptFor(engine: Engine, linear: Linear, budget: Budget, fullSafetyLoss: number): Attempt {
  if (budget.kind === "scale") return attemptAt(engine, linear, budget.value);
  if (budget.kind !== "loss") throw new CoreError("budget", `A prefix mode takes no budget of kind "${budget.kind}".`);
  if (budget.share === 0) return attemptAt(engine, linear, 0);
  const limit = budget.share * fullSafetyLoss;
  const guess = (2 * limit) / sum(linear.units); // the loss is about half of what is spent
  return longestWithin(limit, guess, (scale) => attemptAt(engine, linear, scale));
}

/** Select and compensate block by block: a later block sees what the earlier ones did to its weights. */
function attemptAt(engine: Engine, linear: Linear, scale: number): Attempt {
  const { weights, spans, units } = linear;
  const { rows, cols } = weights.aligned;
  const blocks: KeptBlock[] = [];
  const spent = new Float64Array(spans.length);
  return owning(copyOf(engine, weights.aligned), (weight) => {
    spans.forEach((_, block) => {
      const selection = repairBlock(engine, linear, block, units[block] * scale, weight);
      spent[block] = selection.spent;
      blocks.push(...selection.blocks);
    });
    const finite = Number.isFinite(scale) ? scale : leastScale(spent, units);
    return { scale: finite, weight, kept: { rows, cols, blocks }, spent, ...measure(engine, linear, weight) };
  });
}

/** Repair one block of columns in `weight`; what it keeps is told by the columns of the linear. */
function repairBlock(engine: Engine, linear: Linear, block: number, limit: number, weight: Matrix) {
  const { weights, factor, rule, spans, sensitivity } = linear;
  const { start, width } = spans[block];
  const { rows } = weights.aligned;
  const tuned = weights.tuned.view(0, start, rows, width);
  const current = weight.view(0, start, rows, width);
  using delta = difference(engine, tuned, current);
  const allowance = { limit, maxEntries: rule.maxEntries(rows * width) };
  const { blocks, spent } = selectPrefix(engine, delta, sensitivity.subarray(start, start + width), allowance);
  if (limit > 0) {
    // at limit 0 only entries that did not change are kept, and the aligned weights stay as they are
    rule.compensate(engine, factor, delta, start, blocks, weight);
    placeTuned(engine, tuned, blocks, current);
  }
  return { spent, blocks: blocks.map((part) => ({ ...part, cols: part.cols.map((col) => col + start) })) };
}

/** A little more than the smallest scale that allows this spending, so that giving it again keeps the same entries. */
function leastScale(spent: Float64Array, units: Float64Array): number {
  return Math.max(...spent.map((loss, block) => loss / units[block])) * (1 + 2 ** -40);
}

function measure(engine: Engine, { weights, factor }: Linear, weight: Matrix) {
  using left = difference(engine, weights.tuned, weight);
  using kept = difference(engine, weight, weights.aligned);
  const distances = { utilityGap: squaredNorm(engine, left), delta: squaredNorm(engine, kept) };
  return { distances, safetyLoss: inverseLoss(engine, kept, factor) };
}

/** ½ tr(D H Dᵀ) = ½ ‖D U⁻¹‖². D is overwritten. */
export function inverseLoss(engine: Engine, d: Matrix, { u }: InverseFactor): number {
  engine.trsm(d, u, false);
  return squaredNorm(engine, d) / 2;
}

function spendingOf({ units }: Linear, { scale, spent }: Attempt): Pick<RepairNumbers, "budget" | "scale" | "blocks"> {
  const limits = units.map((unit) => unit * scale);
  return { budget: sum(limits), scale, blocks: Array.from(limits, (limit, i) => ({ limit, spent: spent[i] })) };
}
