import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { lockFolder } from "@safedelta/pipeline";
import { stringify } from "yaml";
import { experimentUnderWay } from "../../cli/src/experiment/outFolder.ts";
import { ref } from "../experiment/recipe.ts";
import { tinyFolder } from "../support/pico.ts";
import { killedBeforeItsEnd } from "./kill.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

const asked = { prompts: "ask.jsonl", "max-new-tokens": 4, limit: 6 };
const data = { samples: 20, "max-tokens": 64 };

/** A pico experiment: a fine-tuning for each seed, two settings of a repair, a rival, two evaluations. */
const recipe = {
  title: "pico",
  set: { base: "aligned", updates: 2 },
  seeds: [0, 1],
  make: {
    tuned: {
      run: "finetune",
      of: ref("base"),
      data: "task.jsonl",
      "max-updates": ref("updates"),
      lr: 1e-2,
      seed: ref("seed"),
    },
    state: { run: "prepare", of: ref("base"), "safe-data": "safe.jsonl", "system-prompts": "none", ...data },
  },
  apply: { aligned: ref("base"), tuned: ref("tuned"), state: ref("state") },
  methods: {
    tuned: { model: ref("tuned") },
    optimal: { apply: { mode: "optimal", loss: [0.01, 0.1] } },
    half: { apply: { method: "wise-ft", alpha: 0.5 } },
  },
  evaluations: {
    short: { ...asked, metric: "pattern", pattern: "[a-m]", measures: "safety", better: "higher" },
    task: { ...asked, metric: "rouge1", measures: "utility", better: "higher" },
  },
  against: "tuned",
};
const nSteps = 1 + 2 + 3 * 2 + 4 * 2 * 2;
const run = ["experiment", "pico.yaml", "--engine", "wasm", "--jobs", "2"];

let world: World;
beforeAll(async () => {
  world = await makeWorld({ withState: false });
  const lines = (await readFile(join(tinyFolder, "eval-new.jsonl"), "utf8")).split("\n").slice(0, 8);
  await Bun.write(world.at("ask.jsonl"), `${lines.join("\n")}\n`);
  await write("pico.yaml", recipe);
});
afterAll(() => world[Symbol.asyncDispose]());

function write(name: string, value: object): Promise<number> {
  return Bun.write(world.at(name), stringify(value));
}

/** What an experiment ends with. */
async function resultsOf(out: string): Promise<Record<string, string>> {
  const names = (await readdir(world.at(out))).filter((name) =>
    /results\.json|table\.md|report\.html|\.svg$/.test(name),
  );
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(world.at(out, name), "utf8")])),
  );
}

/** Ids of the steps that came to their end, with when. */
async function recordsOf(out: string): Promise<Record<string, string>> {
  const names = await readdir(world.at(out, "done"));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(world.at(out, "done", name), "utf8")])),
  );
}

describe("an experiment from its recipe to its table", () => {
  let whole: Record<string, string>;

  test("the dry run tells every step and writes nothing", async () => {
    const { steps, nUnknown, keptBytes } = await jsonOf(world.path, [...run, "--out", "dry", "--dry-run"]);
    expect(steps).toHaveLength(nSteps);
    // Of answers nothing is known before the first were written; all else follows from the model's config.
    expect(nUnknown).toBe(16);
    const model = Bun.file(world.at("aligned", "model.safetensors")).size;
    expect(keptBytes).toBeGreaterThan(2 * 0.9 * model);
    expect(steps.find(({ title }: { title: string }) => title === "state (seed 0)").words.slice(0, 2)).toEqual([
      "prepare",
      "aligned",
    ]);
    expect(existsSync(world.at("dry"))).toBe(false);
  });

  test("the dry run counts no more safe text than the file holds", async () => {
    const guessed = async (samples: number) => {
      const state = { ...recipe.make.state, samples };
      await write("many.yaml", { ...recipe, make: { ...recipe.make, state } });
      const words = ["experiment", "many.yaml", "--engine", "wasm", "--out", "dry", "--dry-run"];
      const { steps } = await jsonOf(world.path, words);
      return steps.find(({ title }: { title: string }) => title === "state (seed 0)").guess.ms;
    };
    expect(await guessed(10_000)).toBe(await guessed(100_000));
    expect(await guessed(1)).toBeLessThan(await guessed(10_000));
  });

  test("runs, and drops the repaired models", async () => {
    const found = await jsonOf(world.path, [...run, "--out", "whole"]);
    expect(found).toMatchObject({ title: "pico", seeds: [0, 1], failed: [], skipped: [] });
    const [{ rows }] = found.cases;
    expect(rows.map(({ label }: { label: string }) => label)).toEqual([
      "tuned",
      "optimal loss 0.01",
      "optimal loss 0.1",
      "half",
    ]);
    for (const { entries } of rows) expect(entries.task.seeds.map(({ n }: { n: number }) => n)).toEqual([6, 6]);
    expect(rows[1].safetyLoss.value).toBeCloseTo(0.01, 4);
    expect(rows[1].entries.short.test.p).toBeGreaterThan(0);
    const made = await readdir(world.at("whole", "made"));
    expect(made.filter((name) => /^(optimal|half)/.test(name))).toEqual([]);
    expect(made.filter((name) => name.startsWith("tuned-"))).toHaveLength(2);
    whole = await resultsOf("whole");
    const told = { folder: world.at("whole"), what: "experiment", nDone: nSteps, nAll: nSteps };
    expect(await experimentUnderWay(world.at("whole"))).toEqual({ ...told, state: "finished" });
    expect(await experimentUnderWay(world.at("aligned"))).toBeUndefined();
    expect(Object.keys(whole).sort()).toEqual([
      "loss-all.svg",
      "plane-all.svg",
      "report.html",
      "results.json",
      "table.md",
    ]);
  });

  test("again runs nothing, and gives the same bytes", async () => {
    const before = await recordsOf("whole");
    const { stderr } = await succeed(world.path, [...run, "--out", "whole"]);
    expect(stderr).toContain(`${nSteps} steps, 0 of them to do`);
    expect(await recordsOf("whole")).toEqual(before);
    expect(await resultsOf("whole")).toEqual(whole);
  });

  test("a folder that was moved goes on where it is", async () => {
    await rename(world.at("whole"), world.at("moved"));
    const { stderr } = await succeed(world.path, [...run, "--out", "moved"]);
    expect(stderr).toContain(`${nSteps} steps, 0 of them to do`);
    expect((await resultsOf("moved"))["table.md"]).toBe(whole["table.md"]);
    await rename(world.at("moved"), world.at("whole"));
  });

  test("with a new row runs that row alone; with other data what they enter", async () => {
    await write("more.yaml", {
      ...recipe,
      methods: { ...recipe.methods, dare: { apply: { method: "dare", drop: 0.2 } } },
    });
    const more = ["experiment", "more.yaml", "--engine", "wasm", "--out", "whole", "--dry-run"];
    const { steps, nUnknown } = await jsonOf(world.path, more);
    expect(steps.map(({ command }: { command: string }) => command)).toEqual([
      "apply",
      "eval",
      "eval",
      "apply",
      "eval",
      "eval",
    ]);
    expect(nUnknown).toBe(0);
    const tuned = await jsonOf(world.path, [...run, "--out", "whole", "--set", "updates=3", "--dry-run"]);
    expect(tuned.steps).toHaveLength(nSteps - 1);
    await Bun.write(world.at("ask.jsonl"), (await readFile(world.at("ask.jsonl"), "utf8")).replace("note", "Note"));
    const asking = await jsonOf(world.path, [...run, "--out", "whole", "--dry-run"]);
    await Bun.write(world.at("ask.jsonl"), (await readFile(world.at("ask.jsonl"), "utf8")).replace("Note", "note"));
    expect(asking.steps).toHaveLength(16 + 6);
  });

  for (const [signal, nChanges] of [
    ["SIGKILL", 60],
    ["SIGINT", 25],
  ] as const)
    test(`${signal} in the middle, then the same command, gives the same bytes`, async () => {
      const out = `after ${signal}`;
      const args = [...run, "--out", out];
      const { code, stdout, stderr } = await killedBeforeItsEnd(world.path, nChanges, signal, args, world.at(out));
      expect({ code, stdout }).toEqual({ code: signal === "SIGINT" ? 130 : 137, stdout: "" });
      if (signal === "SIGINT")
        expect(stderr).toMatch(/interrupted; finished pieces are kept, and the same command goes on\n$/);
      expect(existsSync(world.at(out, "results.json"))).toBe(false);
      const before = await recordsOf(out).catch(() => ({}));
      const nWhole = Object.keys(before).filter((name) => name.endsWith(".json")).length;
      const told = { folder: world.at(out), what: "experiment", nDone: nWhole, nAll: nSteps };
      expect(await experimentUnderWay(world.at(out))).toEqual({ ...told, state: "stopped" });
      const locked = await lockFolder(world.at(out));
      expect(await experimentUnderWay(world.at(out))).toEqual({ ...told, state: "running" });
      await locked[Symbol.asyncDispose]();
      await succeed(world.path, args);
      expect(await resultsOf(out)).toEqual(whole);
      expect(await recordsOf(out)).toMatchObject(before);
    });

  test("--keep-models keeps them, also in a later run without it", async () => {
    const one = [...run, "--out", "kept", "--seeds", "1"];
    await succeed(world.path, [...one, "--keep-models"]);
    await succeed(world.path, one);
    const made = await readdir(world.at("kept", "made"));
    expect(made.filter((name) => /^(optimal|half)/.test(name))).toHaveLength(3);
  });
});

describe("what goes wrong", () => {
  test("a step that fails leaves out what needs it, and the rest is measured", async () => {
    await write("failing.yaml", {
      ...recipe,
      seeds: [0],
      methods: { ...recipe.methods, bad: { apply: { method: "safe-lora", unaligned: "gone" } } },
    });
    const { code, stdout, stderr } = await safedelta(world.path, [
      "experiment",
      "failing.yaml",
      "--engine",
      "wasm",
      "--out",
      "failing",
      "--json",
    ]);
    const { failed, skipped, cases } = JSON.parse(stdout);
    expect({ code, failed, skipped }).toEqual({
      code: 1,
      failed: ["bad (seed 0)"],
      skipped: ["short of bad (seed 0)", "task of bad (seed 0)"],
    });
    expect(stderr).toMatch(
      /apply bad \(seed 0\) ended with code \d; .*logs\/bad-\w+\.txt\n.*\n.*gone: there is no such/,
    );
    expect(cases[0].rows.at(-1)).toMatchObject({ label: "bad", entries: {} });
    expect(cases[0].rows[0].entries.task.n).not.toBe(0);
  });

  const faults: Readonly<Record<string, readonly [object, RegExp]>> = {
    "an unknown flag": [
      { ...recipe, methods: { ...recipe.methods, one: { apply: { mod: "optimal" } } } },
      /one \(seed 0\), apply: unknown option "mod"\. Did you mean "mode"\?/,
    ],
    "a value that is none": [
      { ...recipe, apply: { ...recipe.apply, mode: "best" } },
      /half \(seed 0\), apply: mode: must be one of optimal, .*, but is "best"/,
    ],
    "a data set that is none": [
      { ...recipe, evaluations: { short: { ...recipe.evaluations.short, prompts: "hexphi" } } },
      /short of tuned.*, eval: hexphi: there is no such file, and no data set is called "hexphi"/,
    ],
    "a file that is not there": [
      { ...recipe, evaluations: { short: { ...recipe.evaluations.short, prompts: "gone.jsonl" } } },
      /short of tuned.*, eval: gone\.jsonl: there is no such file/,
    ],
    "a metric that is none": [
      { ...recipe, evaluations: { short: { ...asked, metric: "exakt", measures: "safety", better: "higher" } } },
      /short of tuned.*, eval: "exakt" is no metric; there are: asr-keywords/,
    ],
    "a budget that is none": [
      { ...recipe, methods: { ...recipe.methods, optimal: { apply: { mode: "optimal", loss: 5 } } } },
      /optimal .*, apply: .*loss.*5/,
    ],
    "a rival without its third model": [
      { ...recipe, methods: { ...recipe.methods, bad: { apply: { method: "safe-lora" } } } },
      /bad .*, apply: --unaligned is missing/,
    ],
    "a column name that is not ours": [
      { ...recipe, make: { ...recipe.make, tuned: { run: "data mix", of: ["task.jsonl#promt=x:3"] } } },
      /tuned.*, data mix: task\.jsonl#promt=x: "promt" behind "#" is not known\. Did you mean "prompt"\?/,
    ],
    "a command that is none": [
      { ...recipe, make: { ...recipe.make, tuned: { run: "finetun", of: "aligned" } } },
      /no step can be "finetun"\. Did you mean "finetune"\?/,
    ],
    "a flag that is the experiment's own": [
      { ...recipe, apply: { ...recipe.apply, out: "x" } },
      /unknown option "out"/,
    ],
    "an unknown key": [{ ...recipe, metods: {} }, /faulty\.yaml: unknown key "metods"\. Did you mean "methods"\?/],
  };
  for (const [what, [value, message]] of Object.entries(faults))
    test(`${what} is told before anything runs`, async () => {
      await write("faulty.yaml", value);
      const { code, stderr } = await safedelta(world.path, ["experiment", "faulty.yaml", "--out", "faulty"]);
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
      expect(existsSync(world.at("faulty"))).toBe(false);
    });

  test("a folder of someone else, a recipe that is not there, a variable that is none", async () => {
    const refused = async (...args: string[]) => (await safedelta(world.path, ["experiment", ...args])).stderr;
    expect(await refused("pico.yaml", "--out", "aligned")).toContain(
      "aligned: is not empty and was not made by experiment",
    );
    expect(await refused("nowhere.yaml")).toContain("nowhere.yaml: ENOENT");
    expect(await refused("pico.yaml", "--out", "x", "--set", "bas=y")).toContain('Did you mean "base"?');
    expect(await refused("pico.yaml", "--out", "x", "--set", "base=@none.txt")).toContain(
      "--set base=@none.txt: ENOENT",
    );
  });
});

test("every recipe of the repository can be planned", async () => {
  const folder = join(import.meta.dir, "../../recipes/experiments");
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), "utf8");
    const open = [...text.matchAll(/^ {2}([\w-]+): null/gm)].map(([, variable]) => `${variable}=nowhere/${variable}`);
    const set = open.length > 0 ? ["--set", open.join()] : [];
    const { steps } = await jsonOf(world.path, [
      "experiment",
      join(folder, name),
      ...set,
      "--out",
      "planned",
      "--dry-run",
    ]);
    expect({ name, planned: steps.length > 10 }).toEqual({ name, planned: true });
  }
});
