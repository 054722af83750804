import { CoreError } from "./errors.ts";

/**
 * How the repaired weights are chosen.
 * - `reference`: what the official code does. `none`: its selection without compensation. `paper`: the paper's equations.
 * - `exact`: whole columns are kept, the others take their joint optimum. `optimal`: the closed form, no selection.
 */
export type Mode = "reference" | "none" | "paper" | "exact" | "optimal";

/**
 * The dial. Zero budget (`strength` Infinity) is the aligned model in every mode; the full one (share 1, `strength` 0) is the
 * tuned model in `exact` and `optimal`, while the other modes stop at their own limit (85 % or 90 % of the entries).
 * - `loss`: share 0..1 of the full fine-tuning's safety loss, for this linear.
 * - `globalLoss`: the same share of a whole pool; `solvePool` turns it into one budget for each linear.
 * - `strength`: λ in units of 1/mean(diag H), 0..Infinity (`optimal`; with task data mean(diag H_u)/mean(diag H)).
 * - `keep`: share 0..1 of the columns (`exact`).
 * - `scale`: the paper's s, 0..Infinity (`reference`, `none`, `paper`).
 */
export type Budget =
  | { readonly kind: "loss"; readonly share: number }
  | { readonly kind: "globalLoss"; readonly share: number }
  | { readonly kind: "strength"; readonly value: number }
  | { readonly kind: "keep"; readonly share: number }
  | { readonly kind: "scale"; readonly value: number };

const modesByKind: Record<Budget["kind"], readonly Mode[]> = {
  loss: ["reference", "none", "paper", "exact", "optimal"],
  globalLoss: ["exact", "optimal"],
  strength: ["optimal"],
  keep: ["exact"],
  scale: ["reference", "none", "paper"],
};

/** Whether a mode has a dial of this kind. */
export function hasDial(mode: Mode, kind: Budget["kind"]): boolean {
  return modesByKind[kind].includes(mode);
}

/**
 * Check that `budget` is a dial of `mode` and in its range.
 * @throws CoreError `budget`, naming the dials that the mode has.
 */
export function checkBudget(mode: Mode, budget: Budget): void {
  if (!hasDial(mode, budget.kind)) throw new CoreError("budget", wrongDial(mode, budget.kind));
  const [value, limit] = "share" in budget ? [budget.share, 1] : [budget.value, Number.POSITIVE_INFINITY];
  if (!(value >= 0 && value <= limit)) {
    const range = limit === 1 ? "lie in 0 … 1" : "be 0 or more";
    throw new CoreError("budget", `The budget "${budget.kind}" must ${range}, but is ${value}.`);
  }
}

function wrongDial(mode: Mode, kind: Budget["kind"]): string {
  const dials = Object.entries(modesByKind).filter(([, modes]) => modes.includes(mode));
  const names = dials.map(([name]) => name).join(", ");
  const why =
    kind === "globalLoss"
      ? " A pooled loss needs a curve of loss against the dial, which only exact and optimal have."
      : "";
  return `Mode "${mode}" has no budget of kind "${kind}".${why} Give one of: ${names}.`;
}
