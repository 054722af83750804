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

const empty = new Float32Array();

/** Largest |weight| that rounding may move a weight by: f32 sums of a few hundred products, through two solves. */
const bound = 2e-4;

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

/** prepare and every apply on one engine, each into its folder below `out`. */
async function repairAll(out: string, engine: string, env: Record<string, string> = {}): Promise<void> {
  const state = join(out, "state");
  const data = ["--safe-data", join(tinyFolder, "safe.jsonl"), "--system-prompts", "none", ...draw];
  await succeed(
    out,
    ["prepare", aligned, ...data, "--modes", "reference,exact,optimal", "--out", state, "--engine", engine],
    { env },
  );
  for (const [name, flags] of Object.entries(repairs)) {
    const from = name.startsWith("cholesky") ? join(out, "..", hessians) : state;
    const words = ["apply", "--aligned", aligned, "--tuned", tuned, "--state", from, "--out", join(out, name)];
    const { engine: used } = await jsonOf(out, [...words, ...flags, "--engine", engine], { env });
    expect(JSON.stringify(used)).toContain(engine);
  }
}

test.skipIf(missing !== undefined)(
  "prepare and apply through the library on its stand-ins repair as WASM does",
  async () => {
    await using scratch = await scratchFolder();
    const [there, here] = ["cuda", "wasm"].map((name) => join(scratch.path, name));
    for (const folder of [there, here]) await Bun.write(join(folder, ".keep"), "");
    await prepareHessians(scratch.path);
    await Promise.all([repairAll(there, "cuda", surroundings(await built("plain"))), repairAll(here, "wasm")]);
    const [before, after] = [await valuesOf(aligned), await valuesOf(tuned)];
    for (const name of Object.keys(repairs)) {
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
  },
);

function largestOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Which entries are the tuned ones bit for bit, of those that fine-tuning moved by more than rounding can. */
function keptOf(least: number, aligned: Float32Array = empty, tuned: Float32Array = empty) {
  const moved = [...tuned.keys()].filter((i) => Math.abs(tuned[i] - aligned[i]) > least);
  return (values: Float32Array) => moved.filter((i) => values[i] === tuned[i]);
}
