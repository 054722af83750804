import { join } from "node:path";
import type { Engine } from "@safedelta/engine";
import { type ApplyOptions, apply, lockFolder, type Progress, prepare } from "@safedelta/pipeline";
import { budgetFlag } from "../budget.ts";
import { describeRepair } from "../repairFiles.ts";
import { type DemoRates, firstOf, loadSets, measure } from "./measure.ts";
import { claimDemoFolder } from "./place.ts";
import { type DemoModel, demoData, demoFolder, shownRepairs, sweptBudgets } from "./story.ts";

/** One measured model of the table. */
export interface DemoRow extends DemoRates {
  readonly name: DemoModel;
  readonly folder: string;
}

/** One measured point of the plot. */
export interface DemoPoint {
  readonly series: string;
  readonly budget: string;
  readonly refusal: number;
  readonly newTask: number;
}

/** Everything the demo found. */
export interface DemoResult {
  readonly state: string;
  readonly rows: readonly DemoRow[];
  readonly points: readonly DemoPoint[];
}

/** What its steps share. */
interface Demo {
  readonly engine: Engine;
  readonly out: string;
  readonly progress: Progress;
  readonly sets: Awaited<ReturnType<typeof loadSets>>;
}

/** Prompts of each set that a point of the plot is measured on. */
const pointPrompts = 50;

const repairs = ["reference", "optimal", "optimal-task"] as const;
const [aligned, tuned] = [join(demoFolder, "aligned"), join(demoFolder, "tuned")];

/**
 * The main job on the tiny model: prepare, repair in three ways, measure all five models, and sweep the budgets.
 * @throws UsageError when `out` holds what no demo made; PipelineError when it may not be written or another run works there
 */
export async function runDemo(engine: Engine, out: string, progress: Progress): Promise<DemoResult> {
  await using _lock = await lockFolder(out);
  await claimDemoFolder(out);
  const demo: Demo = { engine, out, progress, sets: await loadSets() };
  const job = { model: aligned, data: demoData("safe"), modes: ["reference", "optimal"] } as const;
  await prepare(engine, { ...job, out: stateOf(demo), offline: true, overwrite: true }, progress);
  return { state: stateOf(demo), rows: await measureModels(demo), points: await measureSweep(demo) };
}

function stateOf({ out }: Demo): string {
  return join(out, "state");
}

async function measureModels(demo: Demo): Promise<DemoRow[]> {
  const rows: DemoRow[] = [];
  const add = async (name: DemoModel, folder: string) =>
    rows.push({ name, folder, ...(await measure(demo.engine, folder, name, demo.sets)) });
  await add("aligned", aligned);
  await add("tuned", tuned);
  for (const name of repairs) await add(name, await repair(demo, join(demo.out, name), shownRepairs[name]));
  return rows;
}

async function measureSweep(demo: Demo): Promise<DemoPoint[]> {
  const points: DemoPoint[] = [];
  const few = firstOf(demo.sets, pointPrompts);
  for (const series of repairs) {
    for (const budget of sweptBudgets[series]) {
      const flag = budgetFlag(budget);
      const folder = join(demo.out, "sweep", `${series}${flag.replace(" ", "-")}`);
      await repair(demo, folder, { ...shownRepairs[series], budget });
      const { guardedRefusal, newTask } = await measure(demo.engine, folder, series, few);
      points.push({ series, budget: flag, refusal: guardedRefusal.rate, newTask: newTask.rate });
    }
  }
  return points;
}

/** Write a repaired model and return its folder. */
async function repair(demo: Demo, folder: string, recipe: (typeof shownRepairs)["optimal"]): Promise<string> {
  const { mode, budget, task } = recipe;
  const options: ApplyOptions = {
    aligned,
    tuned,
    source: { state: stateOf(demo) },
    mode,
    budget,
    taskData: task ? demoData("task") : undefined,
    out: folder,
    rest: "aligned",
    maxShardBytes: 5e9,
    offline: true,
    overwrite: true,
  };
  await apply(demo.engine, options, describeRepair(options, "model"), demo.progress);
  return folder;
}
