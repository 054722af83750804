import { readResults } from "@safedelta/evaluation";
import type { Cell, Measured, Plan } from "@safedelta/experiment";
import { readRecord } from "./records.ts";

/** What the finished steps gave, cell by cell; cells whose steps did not come to their end are left out. */
export async function readMeasured(out: string, plan: Plan): Promise<Measured[]> {
  const found = await Promise.all(plan.cells.map((cell) => readCell(out, plan, cell)));
  return found.filter((cell) => cell !== undefined);
}

async function readCell(out: string, { steps }: Plan, cell: Cell): Promise<Measured | undefined> {
  const record = (id: string | undefined) => {
    const step = id === undefined ? undefined : steps.get(id);
    return step && readRecord(out, step);
  };
  const [evaluated, applied] = await Promise.all([record(cell.evalStep), record(cell.applyStep)]);
  if (evaluated === undefined) return undefined;
  const { results, samples } = await readResults(String(evaluated.document.file));
  const metrics = results.metrics.map(({ metric, kind }) => {
    return [metric, { kind, values: samples.map(({ judgements }) => judgements[metric]?.value) }] as const;
  });
  const totals = applied?.document.totals as { safetyLossShare?: number } | undefined;
  return { cell, metrics: Object.fromEntries(metrics), safetyLossShare: totals?.safetyLossShare };
}
