import { formatNumber } from "./format.ts";
import { markdownTable } from "./markdown.ts";
import {
  type ExperimentCase,
  type ExperimentColumn,
  type ExperimentReport,
  type ExperimentRow,
  incompleteNote,
  planeOf,
} from "./page/experiments.ts";
import { table } from "./table.ts";

type Entry = ExperimentRow["entries"][string];

/** What a column has beside its values, where any row has it. */
type Extra = "paper" | "difference" | "p";

/** Stands behind the chosen setting of a method. */
export const chosenMark = "◀";

/** An experiment's cases as tables for a terminal. */
export function experimentText({ cases }: Pick<ExperimentReport, "cases">): string {
  return cases.map((one) => `${headingOf(cases, one, "")}${table(header(one), body(one))}`).join("\n\n");
}

/** table.md of an experiment: its tables, what their intervals, tests and marks are, and where the published figures stand. */
export function experimentMarkdown(report: ExperimentReport): string {
  const { title, cases, missing } = report;
  const lacks = incompleteNote(missing).map((text) => `${text}\n`);
  const parts = cases.map((one) => `${headingOf(cases, one, "## ")}${markdownTable(header(one), body(one))}\n`);
  return [`# ${title}\n`, ...lacks, ...parts, `${experimentNotes(report).join("\n")}\n`].join("\n");
}

/** What the numbers of an experiment's table are: its intervals, its tests, its marks, its published figures. */
export function experimentNotes({ seeds, against, best, paperSource, cases, warnings }: ExperimentReport): string[] {
  const several = seeds.length > 1;
  const rows = cases.flatMap((one) => one.rows);
  const isTested = rows.some(({ entries }) => Object.values(entries).some(({ test }) => test !== undefined));
  const hasLoss = rows.some(({ safetyLoss }) => safetyLoss !== undefined);
  return [
    several
      ? `Means over the seeds ${seeds.join(", ")}, with Student's 95 % interval over seeds (it may leave 0 … 1; the interval of each seed over its prompts stands in results.json); of rows that do not depend on the seed over prompts.`
      : `Seed ${seeds[0]} alone: 95 % intervals over prompts, Wilson's of rates and bootstrap of means; they say nothing of other seeds.`,
    ...(isTested
      ? [
          `Differences (Δ) are to ${against === undefined ? "the row that the recipe names" : `"${against}"`}, prompt by prompt: ${several ? "mean over seeds with Student's interval" : "bootstrap interval"}; p is McNemar's, exact, over the prompts of all seeds.`,
        ]
      : []),
    ...(best === undefined
      ? []
      : [
          `${chosenMark}: of a method's settings the one of most utility${axisText(cases, "utility")} that is at most ${best.within} less safe${axisText(cases, "safety")} than "${best.of}", chosen on these very numbers.`,
        ]),
    ...(hasLoss ? ["Safety loss: the share of the fine-tuning's that a repair leaves, by its own estimate."] : []),
    ...(paperSource === undefined ? [] : [`Paper: ${paperSource}.`]),
    ...warningNotes(warnings),
  ];
}

/** The column that stands for safety or utility, and whether it tells rows apart. */
function axisText(cases: readonly ExperimentCase[], axis: "safety" | "utility"): string {
  const named = cases.flatMap(({ name: ofCase, columns, rows }) => {
    const name = planeOf(columns)?.[axis].name;
    if (name === undefined) return [];
    const values = rows.map(({ entries }) => entries[name]?.value).filter((value) => value !== undefined);
    const isFlat = values.length > 1 && new Set(values).size === 1;
    const where = cases.length > 1 ? ` of ${ofCase}` : "";
    return [`"${name}"${isFlat ? `, which is the same in all rows${where} and says nothing` : ""}`];
  });
  return named.length === 0 ? "" : ` (${[...new Set(named)].join("; ")})`;
}

const shownWarnings = 3;

function warningNotes(warnings: readonly string[] = []): string[] {
  const rest = warnings.length - shownWarnings;
  const more = rest > 0 ? [`${rest} more kinds of warnings stand in results.json.`] : [];
  return [...warnings.slice(0, shownWarnings).map((warning) => `Warning of ${warning}`), ...more];
}

function headingOf(cases: readonly ExperimentCase[], { name }: ExperimentCase, mark: string): string {
  return cases.length > 1 ? `${mark}${name}\n\n` : "";
}

function header({ columns, rows }: ExperimentCase): string[] {
  return [
    "row",
    ...columns.flatMap((column) => [column.name, ...extrasOf(column, rows).map((word) => `${column.name} ${word}`)]),
    ...(withLoss(rows) ? ["safety loss"] : []),
  ];
}

function body({ columns, rows }: ExperimentCase): string[][] {
  return rows.map((row) => [
    `${row.label}${row.isBest ? ` ${chosenMark}` : ""}`,
    ...columns.flatMap((column) => {
      const entry = row.entries[column.name];
      return [entry ? interval(entry) : "–", ...extrasOf(column, rows).map((word) => extraText(word, entry))];
    }),
    ...(withLoss(rows) ? [row.safetyLoss ? formatNumber(row.safetyLoss.value) : "–"] : []),
  ]);
}

function extrasOf({ name }: ExperimentColumn, rows: readonly ExperimentRow[]): Extra[] {
  const entries = rows.map(({ entries }) => entries[name]);
  return [
    ...(entries.some((entry) => entry?.paper !== undefined) ? ["paper" as const] : []),
    ...(entries.some((entry) => entry?.test !== undefined) ? ["difference" as const] : []),
    ...(entries.some((entry) => entry?.test?.p !== undefined) ? ["p" as const] : []),
  ];
}

function extraText(word: Extra, entry: Entry | undefined): string {
  if (word === "paper") return entry?.paper === undefined ? "" : formatNumber(entry.paper);
  if (entry?.test === undefined) return "";
  return word === "difference" ? interval(entry.test) : formatNumber(entry.test.p ?? Number.NaN);
}

function withLoss(rows: readonly ExperimentRow[]): boolean {
  return rows.some(({ safetyLoss }) => safetyLoss !== undefined);
}

function interval({ value, low, high }: Entry): string {
  return `${digits(value)} (${digits(low)} … ${digits(high)})`;
}

/** A value as an experiment's tables write it. */
export function digits(value: number): string {
  return value.toFixed(3);
}
