import type { ApplyFacts, ApplyOptions } from "./applyOptions.ts";

/** Spending above a loss budget by no more than this share is rounding of the arithmetic. */
const tolerance = 0.01;

/**
 * Say so when the written weights spend more safety loss than was allowed: rounding to 16 bits adds a loss of its own, which
 * exceeds a small budget where the fine-tuning was gentle.
 * @returns a warning with what was spent and where most, or undefined
 */
export function overspent({ budget }: ApplyOptions, { dtype, layers }: ApplyFacts): string | undefined {
  if (budget.kind !== "loss" && budget.kind !== "globalLoss") return undefined;
  const linears = layers.flatMap((layer) => layer.linears);
  const sum = (key: "safetyLoss" | "fullSafetyLoss") => linears.reduce((total, linear) => total + linear[key], 0);
  const total = sum("fullSafetyLoss") === 0 ? 0 : sum("safetyLoss") / sum("fullSafetyLoss");
  const over = linears.filter(({ safetyLossShare }) => safetyLossShare > budget.share * (1 + tolerance) + 1e-6);
  const isOver = budget.kind === "loss" ? over.length > 0 : total > budget.share * (1 + tolerance) + 1e-6;
  if (!isOver) return undefined;
  const worst = linears.reduce((most, linear) => (linear.safetyLossShare > most.safetyLossShare ? linear : most));
  const percent = (share: number) => `${(100 * share).toPrecision(3)} %`;
  return (
    `rounding to ${dtype} spends safety loss beyond the budget: ${percent(total)} in all instead of ${percent(budget.share)}, most in ` +
    `${worst.name} (${percent(worst.safetyLossShare)}). Give a smaller budget, or models stored in F32.`
  );
}

/** Say so when the fine-tuning changed no linear at all, which most often means that a wrong model was named. */
export function unchanged({ layers }: ApplyFacts): string | undefined {
  if (layers.some(({ linears }) => linears.some(({ tunedDeltaNorm }) => tunedDeltaNorm > 0))) return undefined;
  return "the fine-tuned model's linears equal the aligned model's: there was nothing to repair. Is it the right model?";
}
