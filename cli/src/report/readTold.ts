import type { RunReport, SweepReport } from "@safedelta/report";
import { budgetFlag } from "../budget.ts";
import { readJsonAs } from "./readJsonAs.ts";
import { sweptPoints, toldRun } from "./schemas.ts";

/** What `sweep --json` printed, as points of a curve. @throws UsageError for another file */
export async function readSweep(path: string): Promise<SweepReport[]> {
  const { points } = await readJsonAs(path, sweptPoints, "what sweep --json prints");
  return points.map(({ budget, ...point }) => ({ ...point, budget: budgetFlag(budget) }));
}

/** What `apply --json` printed, as times and memory. @throws UsageError for another file */
export function readRun(path: string): Promise<RunReport> {
  return readJsonAs(path, toldRun, "what apply --json prints");
}
