import { type Budget, type Curve, solvePool } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { type GroupName, groupsOfLayer, type ModelConfig } from "@safedelta/model";
import { openDeviceWorkers } from "./deviceWorkers.ts";
import { at } from "./errors.ts";
import {
  type Budgets,
  linearTasks,
  type ResultOf,
  type SettingsOf,
  type Sources,
  type TaskName,
} from "./linearTasks.ts";
import { linearsOf, readPair } from "./pair.ts";
import { firstPass, type OptimalPool, solveOptimalPool } from "./pool.ts";
import type { Progress } from "./progress.ts";
import type { Method } from "./repairLinear.ts";
import type { State } from "./state.ts";

/** Some linears of one group. */
export interface GroupJob {
  readonly layer: number;
  readonly group: GroupName;
  readonly names: readonly string[];
}

/** What is to be done with each linear, in plain values. */
export interface Work<T extends TaskName = TaskName> {
  readonly task: T;
  readonly settings: SettingsOf<T>;
}

/** Where linears and their groups come from, and what computes. */
export interface Place {
  readonly engine: Engine;
  readonly models: Sources;
  readonly state: State;
}

/** Gets the result of a linear. */
export type Hear<T extends TaskName> = (name: string, result: ResultOf<T>) => void | Promise<void>;

/** Every group with those of its linears that `wanted` leaves; groups without any are left out. */
export function jobsOf(config: ModelConfig, wanted: (name: string) => boolean = () => true): GroupJob[] {
  const layers = Array.from({ length: config.nLayers }, (_, layer) => layer);
  const jobs = layers.flatMap((layer) =>
    groupsOfLayer(config, layer).map(({ name: group, linears }) => {
      return { layer, group, names: linears.map(({ name }) => name).filter(wanted) };
    }),
  );
  return jobs.filter(({ names }) => names.length > 0);
}

/** Do the work on the linears of one group, one linear in memory at a time. */
export async function runGroup<T extends TaskName>(
  { engine, models, state }: Place,
  { layer, group, names }: GroupJob,
  { task, settings }: Work<T>,
  hear: Hear<T>,
): Promise<void> {
  const run = linearTasks[task] as (...args: unknown[]) => ResultOf<T> | Promise<ResultOf<T>>;
  using prepared = await state.load(engine, layer, group, settings.mode);
  for (const name of names) {
    using weights = await readPair(engine, models, state, layer, name);
    const linear = { engine, models, name, weights, prepared };
    await hear(name, await at(name, () => run(linear, settings)));
  }
}

/**
 * Do the work on every group: in order here, or on the engine's devices side by side, each in a worker of its own, since most of the
 * time goes into what the host does with a tensor (reading, hashing, rounding). A result does not depend on that, the order in which
 * they are heard does.
 * @param after hears of each group that is done
 * @throws the first error; no worker runs on behind it
 */
export async function runGroups<T extends TaskName>(
  place: Place,
  jobs: readonly GroupJob[],
  work: Work<T>,
  hear: Hear<T>,
  after: (job: GroupJob) => void = () => {},
): Promise<void> {
  const waiting = [...jobs];
  await using workers = await openDeviceWorkers(place, work, jobs.length);
  const one = async (run: (job: GroupJob, hear: Hear<T>) => Promise<void>) => {
    for (let job = waiting.shift(); job; job = waiting.shift()) {
      await run(job, hear);
      after(job);
    }
  };
  if (workers.all.length === 0) return one((job) => runGroup(place, job, work, hear));
  const ends = await Promise.allSettled(
    workers.all.map((worker) =>
      one((job) => worker.run(job, hear as Hear<TaskName>)).catch((error) => {
        waiting.length = 0;
        throw error;
      }),
    ),
  );
  const failed = ends.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
}

/** The result of every wanted linear, in forward order. */
export async function measureLinears<T extends TaskName>(
  place: Place,
  stage: string,
  progress: Progress,
  work: Work<T>,
  wanted: (name: string) => boolean = () => true,
): Promise<Map<string, ResultOf<T>>> {
  const { config } = place.models.aligned;
  const names = [...linearsOf(config)].map(({ linear }) => linear.name).filter(wanted);
  progress.stage(stage, names.length);
  const found = new Map<string, ResultOf<T>>();
  await runGroups(place, jobsOf(config, wanted), work, (name, result) => {
    found.set(name, result);
    progress.step(name);
  });
  return new Map(names.map((name) => [name, found.get(name) as ResultOf<T>]));
}

/** Turn the user's budget into one for each linear; a pooled one costs a pass over all linears, or some (`solveOptimalPool`). */
export async function resolveBudgets(place: Place, { mode, budget }: Method, progress: Progress): Promise<Budgets> {
  if (budget.kind !== "globalLoss") {
    const names = [...linearsOf(place.models.aligned.config)].map(({ linear }) => linear.name);
    return Object.fromEntries(names.map((name) => [name, budget]));
  }
  const budgets =
    mode === "optimal"
      ? await solveOptimalPool(budget.share, optimalPool(place, progress))
      : await poolByExact(place, budget.share, progress);
  return Object.fromEntries(budgets);
}

function optimalPool(place: Place, progress: Progress): OptimalPool {
  const mode = "optimal";
  return {
    start: () => measureLinears(place, firstPass, progress, { task: "poolStart", settings: { mode } }),
    lossesAt: (stage, strengths) =>
      measureLinears(
        place,
        stage,
        progress,
        { task: "losses", settings: { mode, strengths } },
        (name) => name in strengths,
      ),
  };
}

async function poolByExact(place: Place, share: number, progress: Progress): Promise<Map<string, Budget>> {
  const settings = { mode: "exact", withNorms: false } as const;
  const curves: Map<string, Curve> = await measureLinears(place, firstPass, progress, { task: "curve", settings });
  const budgets = solvePool([...curves.values()], share);
  return new Map([...curves.keys()].map((name, i) => [name, budgets[i]]));
}
