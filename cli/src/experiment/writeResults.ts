import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Plan, plotsOf, type Recipe, type Table, tabulate } from "@safedelta/experiment";
import { toolVersion, writeWhole } from "@safedelta/pipeline";
import { type ExperimentReport, experimentMarkdown, reportData, reportPage } from "@safedelta/report";
import { readMeasured, readWarnings } from "./measured.ts";
import { partFolder } from "./outFolder.ts";

/** What results.json holds. */
export interface ExperimentResults extends ExperimentReport, Table {
  readonly version: string;
  readonly cases: Table["cases"];
}

/**
 * Make the table of all that is measured, and write it beside the steps; the same steps, the same bytes. One that lacks something, or was asked
 * for some rows alone, goes into a folder of its own (the former until a whole one takes it away), so it never stands in the place of a better one.
 * @returns the results, and the folder that they are in
 */
export async function writeResults(out: string, recipe: Recipe, plan: Plan) {
  const table = tabulate(recipe, plan, await readMeasured(out, plan));
  const { title, against, best, paper } = recipe;
  const named = { title, version: toolVersion, seeds: plan.seeds, against, best, paperSource: paper?.source };
  const warnings = await readWarnings(out, plan);
  const results: ExperimentResults = { ...named, ...table, ...(warnings.length > 0 && { warnings }) };
  const incomplete = join(out, "incomplete");
  const whole = plan.isPart ? join(out, partFolder) : out;
  const folder = table.missing === undefined ? whole : incomplete;
  await rm(incomplete, { recursive: true, force: true });
  await writeWhole(join(folder, "table.md"), experimentMarkdown(results));
  const page = reportData({ toolVersion, repairs: [], experiments: [results] });
  await writeWhole(join(folder, "report.html"), reportPage(page));
  for (const { name, svg } of table.cases.flatMap(plotsOf)) await writeWhole(join(folder, `${name}.svg`), svg);
  await writeWhole(join(folder, "results.json"), `${JSON.stringify(results, null, 2)}\n`);
  return { results, folder };
}
