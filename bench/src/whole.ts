import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Engine } from "@safedelta/engine";
import { type ApplyOptions, apply, prepare, silent } from "@safedelta/pipeline";

/** A pair of models and the safe examples of the aligned one. */
export interface Job {
  readonly aligned: string;
  readonly tuned: string;
  readonly safeData: string;
  readonly samples: number;
}

const demo = (name: string) => fileURLToPath(new URL(`../../cli/demo/${name}`, import.meta.url));

/** The pair of the repository. */
export const demoJob: Job = {
  aligned: demo("aligned"),
  tuned: demo("tuned"),
  safeData: demo("safe.jsonl"),
  samples: 512,
};

/** One command as a whole, files included. */
export interface Whole {
  readonly name: string;
  readonly ms: number;
  /** Calls across the engine's border. */
  readonly nCalls: number;
  /** Share of the time that the border itself takes: calls times what one costs that does next to nothing. */
  readonly borderShare: number;
}

/**
 * Prepare for reference and optimal, then apply in both modes, each once from nothing.
 * @param callNs what a call costs that does next to nothing, see `measureLadder`
 */
export async function measureWhole(
  engine: Engine,
  job: Job,
  callNs: number,
  onWhole: (whole: Whole) => void,
): Promise<Whole[]> {
  const folder = await mkdtemp(join(tmpdir(), "safedelta-bench-"));
  const state = join(folder, "state");
  const results: Whole[] = [];
  const time = async (name: string, run: (counted: Engine) => Promise<unknown>) => {
    const counter = { nCalls: 0 };
    const start = performance.now();
    await run(counting(engine, counter));
    const ms = performance.now() - start;
    results.push({ name, ms, nCalls: counter.nCalls, borderShare: (counter.nCalls * callNs) / (1e6 * ms) });
    onWhole(results[results.length - 1]);
  };
  try {
    const { aligned: model, safeData: file, samples } = job;
    const data = { file, samples, seed: 42, maxTokens: 512, systemPrompts: "none" } as const;
    const modes = ["reference", "optimal"] as const;
    await time("prepare for reference and optimal", (counted) =>
      prepare(counted, { model, data, out: state, modes, offline: true, overwrite: false }, silent),
    );
    for (const mode of modes)
      await time(`apply, ${mode}`, (counted) => apply(counted, repairOf(job, mode, folder), () => new Map(), silent));
  } finally {
    await rm(folder, { recursive: true });
  }
  return results;
}

function repairOf({ aligned, tuned }: Job, mode: "reference" | "optimal", folder: string): ApplyOptions {
  const budget =
    mode === "optimal" ? ({ kind: "loss", share: 0.03 } as const) : ({ kind: "scale", value: 0.1 } as const);
  const place = {
    out: join(folder, mode),
    overwrite: false,
    offline: true,
    rest: "aligned",
    maxShardBytes: 5e9,
  } as const;
  return { aligned, tuned, source: { state: join(folder, "state") }, mode, budget, ...place };
}

/** The engine, counting each call of its contract. */
function counting(engine: Engine, counter: { nCalls: number }): Engine {
  return new Proxy(engine, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: readonly unknown[]) => {
        counter.nCalls++;
        return value.apply(target, args);
      };
    },
  });
}
