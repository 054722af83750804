import type { AnyOptions, ApplyFacts } from "./applyOptions.ts";
import type { Note } from "./applyRun.ts";
import type { Progress } from "./progress.ts";

/** Warn of every oddity that there is. */
export function warnOf(progress: Progress, ...oddities: readonly (string | undefined)[]): void {
  for (const oddity of oddities) if (oddity !== undefined) progress.warn(oddity);
}

/** Spending above a loss budget by no more than this share is rounding of the arithmetic. */
const tolerance = 0.01;
/** Shares below this are rounding of f32 whatever the budget. */
const floor = 1e-9;

/**
 * Say so when the written weights spend more safety loss than was allowed: rounding to 16 bits adds a loss of its own, which
 * exceeds a small budget where the fine-tuning was gentle.
 * @returns a warning with what was spent and where most, or undefined
 */
export function overspent(options: AnyOptions, { dtype, layers }: ApplyFacts): string | undefined {
  if ("rival" in options) return undefined;
  const { budget } = options;
  if (budget.kind !== "loss" && budget.kind !== "globalLoss") return undefined;
  const linears = layers.flatMap((layer) => layer.linears);
  const sum = (key: "safetyLoss" | "fullSafetyLoss") => linears.reduce((total, linear) => total + linear[key], 0);
  const total = sum("fullSafetyLoss") === 0 ? 0 : sum("safetyLoss") / sum("fullSafetyLoss");
  const over = linears.filter(({ safetyLossShare }) => safetyLossShare > budget.share * (1 + tolerance) + floor);
  const isOver = budget.kind === "loss" ? over.length > 0 : total > budget.share * (1 + tolerance) + floor;
  if (!isOver) return undefined;
  const worst = linears.reduce((most, linear) => (linear.safetyLossShare > most.safetyLossShare ? linear : most));
  const percent = (share: number) => `${(100 * share).toPrecision(3)} %`;
  return (
    `rounding to ${dtype} spends safety loss beyond the budget: ${percent(total)} in all instead of ${percent(budget.share)}, most in ` +
    `${worst.name} (${percent(worst.safetyLossShare)}). Give a smaller budget, or models stored in F32.`
  );
}

/** Below this share of a loss budget the modes that keep entries have stopped at their own limit; above, at an entry's size. */
const nearlySpent = 0.9;

/**
 * Say so when a mode that keeps at most 85 or 90 % of a linear's entries could not spend the safety loss that it was given.
 * @returns a warning with what was spent, or undefined
 */
export function unspent(options: AnyOptions, { layers }: ApplyFacts): string | undefined {
  if ("rival" in options || options.budget.kind !== "loss") return undefined;
  const { mode, budget } = options;
  if (mode === "optimal" || mode === "exact") return undefined;
  const linears = layers.flatMap((layer) => layer.linears).filter(({ tunedDeltaNorm }) => tunedDeltaNorm > 0);
  const under = linears.filter(({ safetyLossShare }) => safetyLossShare < nearlySpent * budget.share);
  if (under.length === 0) return undefined;
  return (
    `mode ${mode} keeps no more than ${mode === "paper" ? 90 : 85} % of a linear's entries and spent less than --loss ${budget.share} in ` +
    `${under.length} of ${linears.length} linears. For what lies beyond, take mode exact or optimal.`
  );
}

/** Say so when the fine-tuning changed no linear at all, which most often means that a wrong model was named. */
export function unchanged({ layers }: Pick<ApplyFacts, "layers">): string | undefined {
  return noChange(layers.flatMap(({ linears }) => linears));
}

/** The same of any list of linears. */
export function noChange(linears: readonly { readonly tunedDeltaNorm: number }[]): string | undefined {
  if (linears.some(({ tunedDeltaNorm }) => tunedDeltaNorm > 0)) return undefined;
  return "the fine-tuned model's linears equal the aligned model's: there was nothing to repair. Is it the right model?";
}

/**
 * Say so when the fine-tuning changed embeddings, norms or head too and the output has the aligned model's.
 * @param names the tensors that are no linears
 * @param notes what the writer's journal keeps of them
 */
export function leftOut(
  { rest }: AnyOptions,
  names: readonly string[],
  notes: ReadonlyMap<string, unknown>,
): string | undefined {
  if (rest === "tuned") return undefined;
  const isChanged = ({ alignedSha256, tunedSha256 }: Note) => tunedSha256 !== "" && tunedSha256 !== alignedSha256;
  const changed = names.filter((name) => isChanged(notes.get(name) as Note));
  if (changed.length === 0) return undefined;
  return (
    `the fine-tuning also changed ${changed.length} of ${names.length} tensors outside the linears (${changed[0]}${changed.length > 1 ? ", …" : ""}); ` +
    "the output has the aligned model's. Give --rest tuned to keep the tuned one's."
  );
}
