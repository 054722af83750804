import { planeOf } from "@safedelta/report";
import type { Cell, Plan } from "./plan.ts";
import type { Evaluation, Recipe } from "./recipe.ts";
import { compare, type Estimate, estimate, type Kind, overSeeds, type Test, type Values } from "./statistics.ts";

/** What the steps of one cell gave. */
export interface Measured {
  readonly cell: Cell;
  /** By metric. */
  readonly metrics: Readonly<Record<string, { readonly kind: Kind; readonly values: Values }>>;
  /** Of a repair: its safety loss as a share of the fine-tuning's. */
  readonly safetyLossShare?: number;
}

/** A column: one metric of one evaluation. */
export interface Column {
  readonly name: string;
  readonly evaluation: string;
  readonly metric: string;
  readonly kind: Kind;
  readonly measures: Evaluation["measures"];
  readonly better: Evaluation["better"];
}

/** What stands in one place of the table. */
export interface Entry extends Estimate {
  readonly seeds: readonly {
    readonly seed: number;
    readonly value: number;
    readonly low: number;
    readonly high: number;
    readonly n: number;
  }[];
  readonly test?: Test;
  readonly paper?: number;
}

/** One row of a case. */
export interface ResultRow {
  readonly label: string;
  readonly method: string;
  readonly inGrid: boolean;
  /** By column; what was not measured is not there. */
  readonly entries: Readonly<Record<string, Entry>>;
  readonly safetyLoss?: Estimate;
  /** Whether it is the setting that the recipe's `best` asks for. */
  readonly isBest: boolean;
}

/** The part of the table that belongs to one case. */
export interface ResultCase {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly rows: readonly ResultRow[];
}

/** Everything that was measured. */
export interface Table {
  readonly cases: readonly ResultCase[];
  /** Titles of the steps that would have measured the rest; undefined of a whole table. */
  readonly missing?: readonly string[];
}

/** The table: every number with its interval, its test, and the published figure where there is one. */
export function tabulate(recipe: Recipe, plan: Plan, measured: readonly Measured[]): Table {
  const there = new Set(measured.map(({ cell }) => cell.evalStep));
  const open = plan.cells.map(({ evalStep }) => evalStep).filter((step) => !there.has(step));
  const missing = [...new Set(open)].map((step) => plan.steps.get(step)?.title ?? step);
  return { cases: casesOf(recipe, plan, measured), ...(missing.length > 0 && { missing }) };
}

function casesOf(recipe: Recipe, plan: Plan, measured: readonly Measured[]): ResultCase[] {
  return Object.keys(recipe.cases).map((name) => {
    const own = measured.filter(({ cell }) => cell.case === name);
    const columns = columnsOf(recipe, own);
    const rows = plan.rows
      .filter(({ label }) => plan.cells.some((cell) => cell.case === name && cell.row === label))
      .map(({ label, name: method, inGrid }) => {
        const entries = Object.fromEntries(
          columns.flatMap((column) => {
            const entry = entryOf(column, label, own, recipe.against);
            const paper = recipe.paper?.figures[name]?.[label]?.[column.name];
            return entry === undefined ? [] : [[column.name, paper === undefined ? entry : { ...entry, paper }]];
          }),
        );
        return { label, method, inGrid, entries, safetyLoss: lossOf(label, own), isBest: false };
      });
    return { name, columns, rows: markBest(recipe, columns, rows) };
  });
}

function columnsOf({ evaluations }: Recipe, measured: readonly Measured[]): Column[] {
  return Object.entries(evaluations).flatMap(([evaluation, { measures, better }]) => {
    const found = measured.find(({ cell }) => cell.evaluation === evaluation)?.metrics ?? {};
    const metrics = Object.entries(found);
    return metrics.map(([metric, { kind }]): Column => {
      const name = metrics.length === 1 ? evaluation : `${evaluation} ${metric}`;
      return { name, evaluation, metric, kind, measures, better };
    });
  });
}

function entryOf(
  column: Column,
  label: string,
  measured: readonly Measured[],
  against: string | undefined,
): Entry | undefined {
  const own = seedsOf(column, label, measured);
  const whole = estimate(
    column.kind,
    onceEach(own, ({ step }) => step).map(({ values }) => values),
  );
  if (whole === undefined) return undefined;
  const seeds = own.flatMap(({ seed, values }) => {
    const one = estimate(column.kind, [values]);
    const n = values.filter((value) => value !== undefined).length;
    return one === undefined ? [] : [{ seed, value: one.value, low: one.low, high: one.high, n }];
  });
  if (against === undefined || against === label) return { ...whole, seeds };
  const others = seedsOf(column, against, measured);
  const pairs = own.flatMap(({ seed, step, values }) => {
    const other = others.find((one) => one.seed === seed);
    return other === undefined ? [] : [{ steps: `${other.step} ${step}`, a: other.values, b: values }];
  });
  const different = onceEach(pairs, ({ steps }) => steps);
  const test = compare(
    column.kind,
    different.map(({ a }) => a),
    different.map(({ b }) => b),
  );
  return { ...whole, seeds, test };
}

function seedsOf({ evaluation, metric }: Column, label: string, measured: readonly Measured[]) {
  return measured
    .filter(
      ({ cell, metrics }) => cell.evaluation === evaluation && cell.row === label && metrics[metric] !== undefined,
    )
    .map(({ cell, metrics }) => ({ seed: cell.seed, step: cell.evalStep, values: metrics[metric].values }));
}

/** What does not depend on the seed was measured once: counted for each seed, it would look surer than it is. */
function onceEach<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [keyOf(item), item])).values()];
}

function lossOf(label: string, measured: readonly Measured[]): Estimate | undefined {
  const byStep = new Map<string | undefined, number>();
  for (const { cell, safetyLossShare } of measured)
    if (cell.row === label && safetyLossShare !== undefined) byStep.set(cell.applyStep, safetyLossShare);
  const values = [...byStep.values()];
  if (values.length > 1) return overSeeds(values);
  return values.length === 0 ? undefined : { value: values[0], low: values[0], high: values[0], over: "seeds" };
}

/** Of each method with a grid the setting of most utility among those that are no more than `within` less safe than the row `of`. */
function markBest({ best }: Recipe, columns: readonly Column[], rows: readonly ResultRow[]): ResultRow[] {
  const plane = planeOf(columns);
  if (best === undefined || plane === undefined) return [...rows];
  const { safety, utility } = plane;
  const gain = (row: ResultRow | undefined, { name, better }: Column) =>
    (better === "higher" ? 1 : -1) * (row?.entries[name]?.value ?? Number.NaN);
  const least =
    gain(
      rows.find(({ label }) => label === best.of),
      safety,
    ) -
    best.within -
    1e-12;
  const chosen = new Map<string, ResultRow>();
  for (const row of rows.filter(({ inGrid }) => inGrid)) {
    const other = chosen.get(row.method);
    const wins = other === undefined || gain(row, utility) > gain(other, utility);
    if (gain(row, safety) >= least && wins) chosen.set(row.method, row);
  }
  return rows.map((row) => ({ ...row, isBest: chosen.get(row.method) === row }));
}
