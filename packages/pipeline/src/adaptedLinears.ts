import type { Adapter } from "@safedelta/checkpoint";
import { type Adapter as LowRank, type OptimalFactor, optimalFactorOf } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import type { Linear } from "@safedelta/model";
import { at } from "./errors.ts";
import { linearsOf, type Models } from "./pair.ts";
import type { Progress } from "./progress.ts";
import type { State } from "./state.ts";

/** Where the linears of an adapter come from, and what computes. */
export interface AdapterPlace {
  readonly engine: Engine;
  readonly models: Pick<Models, "aligned">;
  readonly adapter: Adapter;
  readonly state: State;
  readonly progress: Progress;
}

/** What a step gets of one: its low-rank delta and its group's factor, in engine memory. */
export interface Adapted {
  readonly layer: number;
  readonly linear: Linear;
  readonly factors: LowRank;
  readonly factor: OptimalFactor;
}

/**
 * Take a step for each adapted linear in forward order, one in memory at a time.
 * @param wanted leaves some out
 * @returns the steps' results by name
 * @throws PipelineError as `at`, naming the linear
 */
export async function eachAdapted<T>(
  { engine, models, adapter, state, progress }: AdapterPlace,
  stage: string,
  step: (one: Adapted) => T | Promise<T>,
  wanted: (name: string) => boolean = () => true,
): Promise<Map<string, T>> {
  const changed = (name: string) => adapter.pairs.has(name) && wanted(name);
  const linears = [...linearsOf(models.aligned.config)].filter(({ linear }) => changed(linear.name));
  progress.stage(stage, linears.length);
  const found = new Map<string, T>();
  for (const { layer, group, linear } of linears) {
    using prepared = await state.load(engine, layer, group.name, "optimal");
    using factors = await uploadPair(engine, adapter, linear.name);
    const result = at(linear.name, () => step({ layer, linear, factors, factor: optimalFactorOf(prepared) }));
    found.set(linear.name, await result);
    progress.step(linear.name);
  }
  return found;
}

/** B with the scale folded in, and A, in engine memory. */
export async function uploadPair(engine: Engine, adapter: Adapter, name: string): Promise<LowRank & Disposable> {
  const { a, b, r, rows, cols, scale } = await adapter.readPair(name);
  using made = new DisposableStack();
  const [first, second] = [made.use(engine.alloc(r, cols)), made.use(engine.alloc(rows, r))];
  engine.write(first, a);
  engine.write(
    second,
    b.map((value) => value * scale),
  );
  const held = made.move();
  return { a: first, b: second, [Symbol.dispose]: () => held.dispose() };
}
