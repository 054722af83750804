import { describe, expect, test } from "bun:test";
import { type Measured, plotsOf, tabulate, terminalPlot } from "@safedelta/experiment";
import { experimentMarkdown, experimentText } from "@safedelta/report";
import { planOf, recipeOf, small } from "./recipe.ts";

const value = {
  ...small,
  against: "tuned",
  best: { within: 0.1, of: "half" },
  paper: { source: "a table", figures: { all: { tuned: { harm: 0.25 } } } },
};
const [recipe, plan] = [recipeOf(value), planOf(value)];

/** How many of ten prompts come true, by row and evaluation; the second seed has one more. */
const hits: Readonly<Record<string, readonly [harm: number, task: number]>> = {
  tuned: [8, 9],
  "optimal loss 0.01": [1, 3],
  "optimal loss 0.1": [2, 7],
  half: [1, 1],
};

const measured = plan.cells.map((cell): Measured => {
  const [harm, task] = hits[cell.row];
  const n = (cell.evaluation === "harm" ? harm : task) + (cell.seed === 1 ? 1 : 0);
  const values = Array.from({ length: 10 }, (_, i) => Number(i < n));
  const metric = cell.evaluation === "harm" ? "asr-keywords" : "exact";
  const safetyLossShare = cell.applyStep === undefined ? undefined : 0.1 * (cell.seed + 1);
  return { cell, metrics: { [metric]: { kind: "rate", values } }, safetyLossShare };
});
const [result] = tabulate(recipe, plan, measured).cases;
const { title, against, best, paper } = recipe;
const report = { title, seeds: plan.seeds, against, best, paperSource: paper?.source, cases: [result] };
const row = (label: string) => result.rows.find((one) => one.label === label);

describe("the table", () => {
  test("has means over seeds, each seed's own numbers, the loss, and the published figure", () => {
    expect(row("tuned")?.entries.harm).toMatchObject({ over: "seeds", paper: 0.25 });
    expect(row("tuned")?.entries.harm.value).toBeCloseTo(0.85, 12);
    expect(row("tuned")?.entries.harm.seeds.map((seed) => [seed.seed, seed.value, seed.n])).toEqual([
      [0, 0.8, 10],
      [1, 0.9, 10],
    ]);
    expect(row("half")?.safetyLoss?.value).toBeCloseTo(0.15, 12);
    expect(row("tuned")?.safetyLoss).toBeUndefined();
  });

  test("tests every row but the one that it is tested against", () => {
    expect(row("tuned")?.entries.harm.test).toBeUndefined();
    expect(row("half")?.entries.harm.test?.value).toBeCloseTo(-0.7, 12);
    // Seven of ten for each of two seeds, none the other way.
    expect(row("half")?.entries.harm.test?.p).toBeCloseTo(2 / 2 ** 14, 12);
  });

  test("counts what does not depend on the seed once", () => {
    const fixed = measured.map((one): Measured => {
      const { cell, metrics } = one;
      const first = measured.find(({ cell: other }) => other.row === cell.row && other.evaluation === cell.evaluation);
      if (cell.row !== "tuned" && cell.row !== "half") return one;
      const { evalStep, applyStep } = first?.cell ?? cell;
      return { ...one, cell: { ...cell, evalStep, applyStep }, metrics: first?.metrics ?? metrics };
    });
    const { rows } = tabulate(recipe, plan, fixed).cases[0];
    const entry = (label: string) => rows.find((one) => one.label === label)?.entries.harm;
    expect(entry("tuned")).toMatchObject({ value: 0.8, over: "prompts" });
    expect(entry("tuned")?.seeds).toHaveLength(2);
    expect(entry("half")?.test).toMatchObject({ value: -0.7, over: "prompts" });
    expect(entry("half")?.test?.p).toBeCloseTo(2 / 2 ** 7, 12);
    // A row that does depend on it is held against the fixed one seed by seed.
    expect(entry("optimal loss 0.1")?.test?.over).toBe("seeds");
  });

  test("marks the most useful setting that is safe enough, less harm being better", () => {
    expect(result.rows.filter(({ isBest }) => isBest).map(({ label }) => label)).toEqual(["optimal loss 0.1"]);
    const strict = { ...value, best: { within: 0.05, of: "half" } };
    const [other] = tabulate(recipeOf(strict), planOf(strict), measured).cases;
    expect(other.rows.filter(({ isBest }) => isBest).map(({ label }) => label)).toEqual(["optimal loss 0.01"]);
  });

  test("leaves a gap where a step failed, and takes the seeds that are there", () => {
    const some = measured.filter(({ cell }) => !(cell.row === "half" && cell.evaluation === "task") && cell.seed === 0);
    const { cases, missing } = tabulate(recipe, plan, some);
    const [gap] = cases;
    const half = gap.rows.find(({ label }) => label === "half");
    expect(half?.entries.task).toBeUndefined();
    expect(half?.entries.harm).toMatchObject({ value: 0.1, over: "prompts" });
    expect(experimentText({ cases: [gap] })).toMatch(/half .*–/);
    expect(missing).toHaveLength(1 + 8);
    expect(missing).toContain("task of half (seed 0)");
    expect(tabulate(recipe, plan, measured).missing).toBeUndefined();
    expect(experimentMarkdown({ ...report, cases, missing })).toStartWith(
      "# small\n\nIncomplete: 9 measurements are missing (task of half (seed 0), ",
    );
  });
});

describe("what is shown", () => {
  test("markdown says what its intervals are, and where the figures stand", () => {
    const text = experimentMarkdown(report);
    expect(text).toStartWith("# small\n\n| row | harm | harm paper | harm difference | harm p | task |");
    expect(text).toContain("| optimal loss 0.1 ◀ | 0.250 (");
    expect(text).toContain("Means over the seeds 0, 1, with Student's 95 % interval over seeds");
    expect(text).toContain('Differences (Δ) are to "tuned", prompt by prompt: mean over seeds');
    expect(text).toContain('utility ("task") that is at most 0.1 less safe ("harm") than "half"');
    expect(text).toContain("Paper: a table.");
    const one = experimentMarkdown({ ...report, seeds: [0] });
    expect(one).toContain("Seed 0 alone: 95 % intervals over prompts");
  });

  test("plots have a mark for each row, a line for a grid and a ring for the chosen", () => {
    const [plane, loss] = plotsOf(result);
    expect([plane.name, loss.name]).toEqual(["plane-all", "loss-all"]);
    const counted = (svg: string, what: RegExp) => svg.match(what)?.length;
    const legend = 3;
    expect(counted(plane.svg, /class="mark"/g)).toBe(4 + legend);
    expect(counted(plane.svg, /class="line"/g)).toBe(1 + legend);
    expect(plane.svg).toContain(">optimal</text>");
    expect(counted(plane.svg, /class="ring"/g)).toBe(1 + 1);
    expect(plane.svg).toContain(">chosen setting of its method</text>");
    expect(plane.svg).toContain("harm (lower is better)");
    expect(counted(loss.svg, /class="mark"/g)).toBe(3 + 2);
    expect(terminalPlot(result)).toContain("task (higher is better)");
  });

  test("there is no plot without both axes", () => {
    const alone = { ...result, columns: result.columns.slice(0, 1) };
    expect(plotsOf(alone)).toEqual([]);
    expect(terminalPlot(alone)).toBeUndefined();
  });
});
