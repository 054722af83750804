import { type ApplyOptions, hasDial } from "@safedelta/pipeline";
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
  return `${flagOf(budget.kind)} ${amountOf(budget)}`;
}

function flagOf(kind: Kind): string {
  return `--${kebab(kind)}`;
}

/**
 * The one budget given, or the mode's default.
 * @param offered the dials that the command has
 * @throws UsageError when two are given, or one that the mode has not or that is out of its range
 */
export function chooseBudget(
  flags: BudgetFlags,
  mode: keyof typeof defaultBudgets,
  offered: readonly Kind[] = kinds,
): Budget {
  const given = kinds.filter((kind) => flags[kind] !== undefined);
  if (given.length > 1) throw new UsageError(`Give one budget, not ${given.map(flagOf).join(" and ")}.`);
  const [kind] = given;
  if (kind === undefined) return defaultBudgets[mode];
  if (hasDial(mode, kind)) return checkedBudget(kind, Number(flags[kind]));
  const dials = offered.filter((dial) => hasDial(mode, dial)).map(flagOf);
  throw new UsageError(`--mode ${mode} does not take ${flagOf(kind)}. Give one of: ${dials.join(", ")}.`);
}

/** @throws UsageError when the amount is out of the range of its kind */
function checkedBudget(kind: Kind, amount: number): Budget {
  const budget = budgetOf(kind, amount);
  const [limit, range] = "share" in budget ? [1, "lie in 0 … 1"] : [Number.POSITIVE_INFINITY, "be 0 or more"];
  if (amount >= 0 && amount <= limit) return budget;
  throw new UsageError(`${flagOf(kind)} must ${range}, but is ${amount}.`);
}

/** All budgets of a sweep, each once, in the order of their kinds. @throws UsageError for one out of its range */
export function budgetsOf(lists: BudgetLists): Budget[] {
  return kinds.flatMap((kind) => [...new Set(lists[kind])].map((amount) => checkedBudget(kind, amount)));
}
