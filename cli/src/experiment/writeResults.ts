import { join } from "node:path";
import { type Plan, plotsOf, type Recipe, type ResultCase, tabulate } from "@safedelta/experiment";
import { toolVersion, writeWhole } from "@safedelta/pipeline";
import { type ExperimentReport, experimentMarkdown, reportData, reportPage } from "@safedelta/report";
import { readMeasured } from "./measured.ts";

/** What results.json holds. */
export interface ExperimentResults extends ExperimentReport {
  readonly version: string;
  readonly cases: readonly ResultCase[];
}

/** Make the table of all that is measured, and write it beside the steps; the same steps, the same bytes. */
export async function writeResults(out: string, recipe: Recipe, plan: Plan): Promise<ExperimentResults> {
  const cases = tabulate(recipe, plan, await readMeasured(out, plan));
  const { title, against, best, paper } = recipe;
  const results = { title, version: toolVersion, seeds: plan.seeds, against, best, paperSource: paper?.source, cases };
  await writeWhole(join(out, "results.json"), `${JSON.stringify(results, null, 2)}\n`);
  await writeWhole(join(out, "table.md"), experimentMarkdown(results));
  const page = reportData({ toolVersion, repairs: [], experiments: [results] });
  await writeWhole(join(out, "report.html"), reportPage(page));
  for (const { name, svg } of cases.flatMap(plotsOf)) await writeWhole(join(out, `${name}.svg`), svg);
  return results;
}
