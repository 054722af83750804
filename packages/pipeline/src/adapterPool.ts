import { adapterCurve, adapterLosses } from "@safedelta/core";
import { type Adapted, type AdapterPlace, eachAdapted } from "./adaptedLinears.ts";
import type { ApplyOptions } from "./applyOptions.ts";
import { firstPass, type PoolLinear, poolStart, solveOptimalPool } from "./pool.ts";
import type { BudgetOf } from "./repairLinear.ts";

/** The budget of each adapted linear; a pooled one is solved first. */
export async function adapterBudgets(place: AdapterPlace, { budget }: Pick<ApplyOptions, "budget">): Promise<BudgetOf> {
  if (budget.kind !== "globalLoss") return () => budget;
  const inPool = (one: Adapted) => adapterInPool(place, one);
  const budgets = await solveOptimalPool(budget.share, {
    start: () => eachAdapted(place, firstPass, (one) => poolStart(inPool(one))),
    lossesAt: (stage, strengths) =>
      eachAdapted(
        place,
        stage,
        (one) => inPool(one).lossesAt(strengths[one.linear.name]),
        (name) => name in strengths,
      ),
  });
  return (name) => budgets.get(name) ?? budget;
}

function adapterInPool({ engine }: AdapterPlace, { factors, factor }: Adapted): PoolLinear {
  return {
    factor,
    curve: (spectrum) => adapterCurve(engine, factors, spectrum),
    lossesAt: (strength) => adapterLosses(engine, factors, factor, strength),
  };
}
