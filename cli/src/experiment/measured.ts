import { basename, join } from "node:path";
import { readResults } from "@safedelta/evaluation";
import type { Cell, Measured, Plan } from "@safedelta/experiment";
import { faultLines, placeOf } from "./faults.ts";
import { readRecord } from "./records.ts";

/** What the finished steps gave, cell by cell; cells whose steps did not come to their end are left out. */
export async function readMeasured(out: string, plan: Plan): Promise<Measured[]> {
  const found = await Promise.all(plan.cells.map((cell) => readCell(out, plan, cell)));
  return found.filter((cell) => cell !== undefined);
}

/** What the finished steps warned of, a line for each kind, with the first step that did. */
export async function readWarnings(out: string, { steps }: Plan): Promise<string[]> {
  const all = [...steps.values()].map(async (step) => {
    const { warnings = [] } = (await readRecord(out, step)) ?? {};
    return warnings.map((problem) => ({ where: placeOf(step), problem }));
  });
  return faultLines((await Promise.all(all)).flat());
}

async function readCell(out: string, { steps }: Plan, cell: Cell): Promise<Measured | undefined> {
  const stepOf = (id: string | undefined) => (id === undefined ? undefined : steps.get(id));
  const [evaluation, application] = [stepOf(cell.evalStep), stepOf(cell.applyStep)];
  const evaluated = evaluation && (await readRecord(out, evaluation));
  const applied = application && (await readRecord(out, application));
  if (evaluation === undefined || evaluated === undefined) return undefined;
  // The folder may have moved since, so only the file's name counts.
  const { results, samples } = await readResults(join(evaluation.artefact, basename(String(evaluated.document.file))));
  const metrics = results.metrics.map(({ metric, kind }) => {
    return [metric, { kind, values: samples.map(({ judgements }) => judgements[metric]?.value) }] as const;
  });
  const totals = applied?.document.totals as { safetyLossShare?: number } | undefined;
  return { cell, metrics: Object.fromEntries(metrics), safetyLossShare: totals?.safetyLossShare };
}
