import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { jsonOf, succeed } from "../cli/run.ts";
import { valuesOf } from "../cli/world.ts";
import { prepareOptions, runPrepare } from "../pipeline/job.ts";
import { scratchFolder, tinyFolder } from "../support/pico.ts";
import { built, missing } from "./build.ts";
import { surroundings } from "./run.ts";

setDefaultTimeout(300_000); // the libraries are built first

const [aligned, tuned] = ["aligned", "tuned"].map((name) => join(tinyFolder, name));
const draw = ["--samples", "8", "--max-tokens", "48"];

/**
 * Budgets of the modes as a user gives them. An entry whose cumulated loss lies within rounding of the limit may be kept by one engine
 * and not by another: the scale is one without such an entry.
 */
const repairs: Record<string, readonly string[]> = {
  reference: ["--mode", "reference", "--scale", "0.2"],
  exact: ["--mode", "exact", "--loss", "0.1"],
  optimal: ["--mode", "optimal", "--loss", "0.1"],
  task: ["--mode", "optimal", "--loss", "0.1", "--task-data", join(tinyFolder, "task.jsonl"), ...draw],
  cholesky: ["--mode", "optimal", "--loss", "0.1"],
  choleskyTask: ["--mode", "optimal", "--loss", "0.1", "--task-data", join(tinyFolder, "task.jsonl"), ...draw],
};

const withTask = ["task", "choleskyTask"];

const empty = new Float32Array();

/** Share of the largest |weight| by which rounding may move one: f32 sums of a few hundred products, through two solves. */
const bound = 2e-4;

/**
 * The task's Hessian of few examples makes the solves so ill-conditioned that two engines may lie farther apart than that. Both are
 * held against f64 there: the CUDA engine may be this many times as far from it as WASM.
 */
const worse = 3;

/** Where `prepared` leaves a state whose groups keep their Hessians, as wide ones do on a GPU. */
const hessians = "hessians";

async function prepareHessians(folder: string): Promise<void> {
  const data = {
    file: join(tinyFolder, "safe.jsonl"),
    samples: 8,
    seed: 1,
    maxTokens: 48,
    systemPrompts: "none",
  } as const;
  const options = { data, modes: ["optimal"], optimalPart: () => "hessian" as const } as const;
  await runPrepare(prepareOptions(aligned, join(folder, hessians), options));
}

/** prepare, and these applies, on one engine, each into its folder below `out`. */
async function repairAll(
  out: string,
  engine: string,
  names: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  const state = join(out, "state");
  const data = ["--safe-data", join(tinyFolder, "safe.jsonl"), "--system-prompts", "none", ...draw];
  await succeed(
    out,
    ["prepare", aligned, ...data, "--modes", "reference,exact,optimal", "--out", state, "--engine", engine],
    { env },
  );
  for (const name of names) {
    const from = name.startsWith("cholesky") ? join(out, "..", hessians) : state;
    const words = ["apply", "--aligned", aligned, "--tuned", tuned, "--state", from, "--out", join(out, name)];
    const { engine: used } = await jsonOf(out, [...words, ...repairs[name], "--engine", engine], { env });
    expect(JSON.stringify(used)).toContain(engine);
  }
}

test.skipIf(missing !== undefined)(
  "prepare and apply through the library on its stand-ins repair as WASM does",
  async () => {
    await using scratch = await scratchFolder();
    const [there, here, exact] = ["cuda", "wasm", "f64"].map((name) => join(scratch.path, name));
    for (const folder of [there, here, exact]) await Bun.write(join(folder, ".keep"), "");
    await prepareHessians(scratch.path);
    const all = Object.keys(repairs);
    await Promise.all([
      repairAll(there, "cuda", all, surroundings(await built("plain"))),
      repairAll(here, "wasm", all),
    ]);
    const [before, after] = [await valuesOf(aligned), await valuesOf(tuned)];
    for (const name of all.filter((name) => !withTask.includes(name))) {
      const [a, b] = [await valuesOf(join(there, name)), await valuesOf(join(here, name))];
      expect([...a.keys()]).toEqual([...b.keys()]);
      for (const [tensor, values] of a) {
        const other = b.get(tensor) ?? empty;
        const least = bound * largestOf(values);
        expect({ name, tensor, near: largestOf(values.map((value, i) => value - other[i])) <= least }).toEqual({
          name,
          tensor,
          near: true,
        });
        if (name !== "reference" && name !== "exact") continue;
        const kept = keptOf(least, before.get(tensor), after.get(tensor));
        expect(kept(values)).toEqual(kept(other));
      }
    }
    await repairAll(exact, "reference", withTask);
    for (const name of withTask) {
      const [f64, cuda, wasm] = await Promise.all([exact, there, here].map((folder) => valuesOf(join(folder, name))));
      expect(distance(cuda, f64)).toBeLessThanOrEqual(worse * distance(wasm, f64));
    }
  },
);

/** Most that a weight of one model lies off the other's, as a share of the largest of its tensor. */
function distance(model: Map<string, Float32Array>, from: Map<string, Float32Array>): number {
  const shares = [...from].map(([name, values]) => {
    const other = model.get(name) ?? empty;
    return largestOf(values.map((value, i) => value - other[i])) / largestOf(values);
  });
  return Math.max(...shares);
}

function largestOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Which entries are the tuned ones bit for bit, of those that fine-tuning moved by more than rounding can. */
function keptOf(least: number, aligned: Float32Array = empty, tuned: Float32Array = empty) {
  const moved = [...tuned.keys()].filter((i) => Math.abs(tuned[i] - aligned[i]) > least);
  return (values: Float32Array) => moved.filter((i) => values[i] === tuned[i]);
}
