import { join } from "node:path";
import type { Engine } from "@safedelta/engine";
import { type ApplyOptions, apply, type Progress, prepare } from "@safedelta/pipeline";
import { budgetFlag } from "../budget.ts";
import { describeRepair } from "../repairFiles.ts";
import { type DemoRates, firstOf, loadSets, measure } from "./measure.ts";
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

/** Prompts of each set that a point of the plot is measured on. */
const pointPrompts = 50;

/** The main job on the tiny model: prepare, repair in three ways, measure all five models, and sweep the budgets. */
export async function runDemo(engine: Engine, out: string, progress: Progress): Promise<DemoResult> {
  const [aligned, tuned] = [join(demoFolder, "aligned"), join(demoFolder, "tuned")];
  const state = join(out, "state");
  const data = demoData("safe");
  await prepare(
    engine,
    { model: aligned, data, out: state, modes: ["reference", "optimal"], offline: true, overwrite: true },
    progress,
  );

  const repaired = async (folder: string, recipe: (typeof shownRepairs)["optimal"]) => {
    const { mode, budget, task } = recipe;
    const taskData = task ? demoData("task") : undefined;
    const shared = {
      aligned,
      tuned,
      source: { state },
      rest: "aligned",
      maxShardBytes: 5e9,
      offline: true,
      overwrite: true,
    } as const;
    const options: ApplyOptions = { ...shared, mode, budget, taskData, out: folder };
    await apply(engine, options, describeRepair(options, "model"), progress);
    return folder;
  };

  const sets = await loadSets();
  const rows: DemoRow[] = [];
  const add = async (name: DemoModel, folder: string) =>
    rows.push({ name, folder, ...(await measure(engine, folder, name, sets)) });
  await add("aligned", aligned);
  await add("tuned", tuned);
  for (const name of ["reference", "optimal", "optimal-task"] as const)
    await add(name, await repaired(join(out, name), shownRepairs[name]));

  const points: DemoPoint[] = [];
  const few = firstOf(sets, pointPrompts);
  for (const name of ["reference", "optimal", "optimal-task"] as const) {
    for (const budget of sweptBudgets[name]) {
      const flag = budgetFlag(budget);
      const folder = await repaired(join(out, "sweep", `${name}${flag.replace(" ", "-")}`), {
        ...shownRepairs[name],
        budget,
      });
      const rates = await measure(engine, folder, name, few);
      points.push({ series: name, budget: flag, refusal: rates.guardedRefusal.rate, newTask: rates.newTask.rate });
    }
  }
  return { state, rows, points };
}
