import type { ApplyOptions } from "@safedelta/pipeline";
import { UsageError } from "./exitCode.ts";
import { kebab } from "./recipe.ts";

type Budget = ApplyOptions["budget"];
type Kind = Budget["kind"];

/** A single budget as flags give it. */
export type BudgetFlags = { readonly [K in Kind]?: number };
/** Several budgets of each kind. */
export type BudgetLists = { readonly [K in Kind]?: readonly number[] };

const kinds: readonly Kind[] = ["loss", "globalLoss", "strength", "keep", "scale"];

/** The budget used when none is given: what the first experiments found a good start, by mode. */
export const defaultBudgets = {
  optimal: { kind: "loss", share: 0.01 },
  exact: { kind: "loss", share: 0.01 },
  reference: { kind: "scale", value: 0.1 },
  paper: { kind: "scale", value: 0.1 },
  none: { kind: "scale", value: 0.1 },
} as const satisfies Record<string, Budget>;

/** A budget of one kind. */
export function budgetOf(kind: Kind, amount: number): Budget {
  return kind === "strength" || kind === "scale" ? { kind, value: amount } : { kind, share: amount };
}

/** The number a budget holds. */
export function amountOf(budget: Budget): number {
  return "share" in budget ? budget.share : budget.value;
}

/** How the command line spells a budget: `--loss 0.01`. */
export function budgetFlag(budget: Budget): string {
  return `--${kebab(budget.kind)} ${amountOf(budget)}`;
}

/** The one budget given, or the mode's default. @throws UsageError when two are given */
export function chooseBudget(flags: BudgetFlags, mode: keyof typeof defaultBudgets): Budget {
  const given = kinds.filter((kind) => flags[kind] !== undefined);
  if (given.length > 1) {
    throw new UsageError(`Give one budget, not ${given.map((kind) => `--${kebab(kind)}`).join(" and ")}.`);
  }
  const [kind] = given;
  return kind === undefined ? defaultBudgets[mode] : budgetOf(kind, Number(flags[kind]));
}

/** All budgets of a sweep, each once, in the order of their kinds. */
export function budgetsOf(lists: BudgetLists): Budget[] {
  return kinds.flatMap((kind) => [...new Set(lists[kind])].map((amount) => budgetOf(kind, amount)));
}
