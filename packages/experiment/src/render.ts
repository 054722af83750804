import { formatNumber, incompleteNote, markdownTable, table } from "@safedelta/report";
import type { Plan } from "./plan.ts";
import type { Recipe } from "./recipe.ts";
import type { Column, Entry, ResultCase, ResultRow, Table } from "./results.ts";
import type { Estimate } from "./statistics.ts";

const digits = (value: number) => value.toFixed(3);
const interval = ({ value, low, high }: Estimate) => `${digits(value)} (${digits(low)} … ${digits(high)})`;

/** The table for a terminal. */
export function terminalTable(cases: readonly ResultCase[]): string {
  return cases.map((one) => `${titleOf(cases, one, "")}${table(header(one), body(one))}`).join("\n\n");
}

/** The table, what its intervals and tests are, and the published figures, as markdown. */
export function markdownReport(
  recipe: Recipe,
  plan: Plan,
  { cases, missing }: Pick<Table, "cases" | "missing">,
): string {
  const parts = cases.map((one) => `${titleOf(cases, one, "## ")}${markdownTable(header(one), body(one))}\n`);
  const lacks = incompleteNote(missing).map((text) => `${text}\n`);
  return [`# ${recipe.title}\n`, ...lacks, ...parts, `${notes(recipe, plan).join("\n")}\n`].join("\n");
}

function titleOf(cases: readonly ResultCase[], { name }: ResultCase, mark: string): string {
  return cases.length > 1 ? `${mark}${name}\n\n` : "";
}

function header({ columns, rows }: ResultCase): string[] {
  return [
    "row",
    ...columns.flatMap((column) => [column.name, ...extra(column, rows).map((word) => `${column.name} ${word}`)]),
    ...lossHeader(rows),
  ];
}

function body({ columns, rows }: ResultCase): string[][] {
  return rows.map((row) => [
    `${row.label}${row.isBest ? " ◀" : ""}`,
    ...columns.flatMap((column) => {
      const entry = row.entries[column.name];
      return [entry ? interval(entry) : "–", ...extra(column, rows).map((word) => extraText(word, entry))];
    }),
    ...(lossHeader(rows).length > 0 ? [row.safetyLoss ? formatNumber(row.safetyLoss.value) : "–"] : []),
  ]);
}

/** Further columns that any row of a case has something in. */
function extra({ name }: Column, rows: readonly ResultRow[]): ("paper" | "difference" | "p")[] {
  const entries = rows.map(({ entries }) => entries[name]);
  return [
    ...(entries.some((entry) => entry?.paper !== undefined) ? ["paper" as const] : []),
    ...(entries.some((entry) => entry?.test !== undefined) ? ["difference" as const] : []),
    ...(entries.some((entry) => entry?.test?.p !== undefined) ? ["p" as const] : []),
  ];
}

function extraText(word: "paper" | "difference" | "p", entry: Entry | undefined): string {
  if (word === "paper") return entry?.paper === undefined ? "" : formatNumber(entry.paper);
  if (entry?.test === undefined) return "";
  return word === "difference" ? interval(entry.test) : formatNumber(entry.test.p ?? Number.NaN);
}

function lossHeader(rows: readonly ResultRow[]): string[] {
  return rows.some(({ safetyLoss }) => safetyLoss !== undefined) ? ["safety loss"] : [];
}

function notes({ against, best, paper }: Recipe, { seeds }: Plan): string[] {
  const several = seeds.length > 1;
  return [
    several
      ? `Means over the seeds ${seeds.join(", ")}, with Student's 95 % interval over seeds (it may leave 0 … 1; the interval of each seed over its prompts stands in results.json); of rows that do not depend on the seed over prompts.`
      : `Seed ${seeds[0]} alone: 95 % intervals over prompts, Wilson's of rates and bootstrap of means; they say nothing of other seeds.`,
    ...(against === undefined
      ? []
      : [
          `Differences are to "${against}", prompt by prompt: ${several ? "mean over seeds with Student's interval" : "bootstrap interval"}; p is McNemar's, exact, over the prompts of all seeds.`,
        ]),
    ...(best === undefined
      ? []
      : [
          `◀: of a method's settings the one of most utility that is at most ${best.within} less safe than "${best.of}", chosen on these very numbers.`,
        ]),
    ...(paper === undefined ? [] : [`Paper: ${paper.source}.`]),
  ];
}
