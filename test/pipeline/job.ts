import { join } from "node:path";
import { openEngine } from "@safedelta/engine";
import {
  type AnyOptions,
  type ApplyOptions,
  apply,
  type DataOptions,
  type PrepareOptions,
  type Progress,
  planApply,
  prepare,
  silent,
} from "@safedelta/pipeline";
import { tinyFolder, writePico } from "../support/pico.ts";

/** Twenty safe examples of the tiny model's data. */
export const safeData: DataOptions = {
  file: join(tinyFolder, "safe.jsonl"),
  samples: 20,
  seed: 1,
  maxTokens: 64,
  systemPrompts: "none",
};

/** Task examples. */
export const taskData: DataOptions = { ...safeData, file: join(tinyFolder, "task.jsonl") };

/** An aligned and a tuned pico model below `folder`. */
export async function writePair(
  folder: string,
  dtype: "F32" | "BF16" = "F32",
): Promise<{ aligned: string; tuned: string }> {
  const aligned = await writePico(join(folder, "aligned"), { seed: 1, dtype });
  const tuned = await writePico(join(folder, "tuned"), { seed: 1, dtype, delta: { seed: 2, size: 0.02 } });
  return { aligned, tuned };
}

/** Options of a prepare for all modes. */
export function prepareOptions(model: string, out: string, change: Partial<PrepareOptions> = {}): PrepareOptions {
  const modes = ["reference", "exact", "optimal"] as const;
  return { model, data: safeData, out, modes, offline: true, overwrite: false, ...change };
}

/** Options of an apply from a state. */
export function applyOptions(
  pair: { aligned: string; tuned: string },
  state: string,
  out: string,
  change: Partial<ApplyOptions> = {},
): ApplyOptions {
  const method = { mode: "optimal", budget: { kind: "loss", share: 0.1 } } as const;
  const place = {
    source: { state },
    out,
    rest: "aligned",
    maxShardBytes: 5e9,
    offline: true,
    overwrite: false,
  } as const;
  return { ...pair, ...method, ...place, ...change };
}

/** The further files of an output: a stand-in for the model card. */
export function describeFacts(facts: unknown): ReadonlyMap<string, Uint8Array> {
  return new Map([["safedelta.json", new TextEncoder().encode(JSON.stringify(facts))]]);
}

/** Prepare with the engine that the command line takes. */
export async function runPrepare(options: PrepareOptions, progress: Progress = silent) {
  using engine = (await openEngine()).engine;
  return await prepare(engine, options, progress);
}

/** Apply with the engine that the command line takes. */
export async function runApply(options: AnyOptions, progress: Progress = silent) {
  using engine = (await openEngine()).engine;
  return await apply(engine, options, describeFacts, progress);
}

/** Plan an apply with the engine that the command line takes. */
export async function runPlan(options: AnyOptions, progress: Progress = silent) {
  using engine = (await openEngine()).engine;
  return await planApply(engine, options, progress);
}

/** A progress that throws at its n-th step: an interruption at a chosen moment. */
export function interruptAt(n: number): Progress {
  let steps = 0;
  return {
    ...silent,
    step() {
      steps += 1;
      if (steps === n) throw new Interruption(`interrupted at step ${n}`);
    },
  };
}

/** What `interruptAt` throws. */
export class Interruption extends Error {}
