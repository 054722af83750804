import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp, readdir, readFile, rename, truncate } from "node:fs/promises";
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
  await Bun.write(world.at("torn.jsonl"), '{"messages": [');
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
  test("a file of its own that is damaged is named", async () => {
    const [record] = await readdir(world.at("kept", "done"));
    for (const file of [`done/${record}`, "inputs.json", "experiment.json"]) {
      const good = await readFile(world.at("kept", file), "utf8");
      for (const bad of [good.slice(0, 20), '{"engine": 1, "a": {}}'].slice(0, file === "inputs.json" ? 1 : 2)) {
        await Bun.write(world.at("kept", file), bad);
        const { code, stderr } = await safedelta(world.path, [...run, "--out", "kept", "--seeds", "1", "--dry-run"]);
        expect({ code, stderr }).toEqual({
          code: 2,
          stderr: expect.stringContaining(
            `kept/${file}: is damaged. ${file === "experiment.json" ? "Put" : "Remove it"}`,
          ),
        });
      }
      await Bun.write(world.at("kept", file), good);
    }
  });

  test("a step that fails leaves out what needs it, the rest is measured, and a whole table keeps its place", async () => {
    const whole = await resultsOf("kept");
    await cp(world.at("aligned"), world.at("broken"), { recursive: true });
    await truncate(world.at("broken", "model.safetensors"), 100);
    await write("failing.yaml", {
      ...recipe,
      seeds: [1],
      methods: { ...recipe.methods, bad: { apply: { method: "safe-lora", unaligned: "broken" } } },
    });
    const { code, stdout, stderr } = await safedelta(world.path, [
      "experiment",
      "failing.yaml",
      "--engine",
      "wasm",
      "--out",
      "kept",
      "--json",
    ]);
    const { failed, skipped, cases } = JSON.parse(stdout);
    expect({ code, failed, skipped }).toEqual({
      code: 1,
      failed: ["bad (seed 1)"],
      skipped: ["short of bad (seed 1)", "task of bad (seed 1)"],
    });
    expect(stderr).toMatch(
      /apply bad \(seed 1\) ended with code \d; .*logs\/bad-\w+\.txt\n(.*\n)*.*broken\/model\.safetensors: /,
    );
    expect(cases[0].rows.at(-1)).toMatchObject({ label: "bad", entries: {} });
    expect(cases[0].rows[0].entries.task.n).not.toBe(0);
    expect(stderr).toContain("written: kept/incomplete (");
    expect(await resultsOf("kept")).toEqual(whole);
    const poorer = await resultsOf("kept/incomplete");
    const lacks = "Incomplete: 2 measurements are missing (short of bad (seed 1), task of bad (seed 1));";
    for (const text of [stderr, poorer["table.md"], poorer["report.html"]]) expect(text).toContain(lacks);
    expect((await jsonOf(world.path, ["report", "kept/incomplete"])).experiments[0].missing).toHaveLength(2);
    await succeed(world.path, [...run, "--out", "kept", "--seeds", "1"]);
    expect(existsSync(world.at("kept/incomplete"))).toBe(false);
    expect(await resultsOf("kept")).toEqual(whole);
  });

  test("what another engine made does not count, which is told", async () => {
    const flags = ["--out", "kept", "--seeds", "1", "--dry-run", "--engine"];
    const { stderr } = await succeed(world.path, ["experiment", "pico.yaml", ...flags, "reference"]);
    expect(stderr).toMatch(
      /warning: kept: its last run was on the engine wasm \(.*\); what that made does not count on reference \(.*\), but does with --engine wasm\n/,
    );
    expect((await succeed(world.path, ["experiment", "pico.yaml", ...flags, "wasm"])).stderr).not.toContain("warning");
  });

  /** The recipe with something else in the place of its fine-tuning. */
  const making = (tuned: object) => ({ ...recipe, set: { base: "aligned" }, make: { ...recipe.make, tuned } });

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
    "a model that is not there": [
      { ...recipe, methods: { ...recipe.methods, bad: { apply: { method: "safe-lora", unaligned: "aligned+gone" } } } },
      /^error: bad \(seed 0\), apply: gone: there is no such file or folder; write a model folder, .* \(and in 1 more step\)$/m,
    ],
    "an adapter that is not there, on a model that is made": [
      { ...recipe, methods: { ...recipe.methods, bad: { model: `${ref("tuned")}+gone` } } },
      /^error: .* of bad \(seed 0\), eval: gone: there is no such file or folder; .* \(and in 3 more steps\)$/m,
    ],
    "a part of a mixture that is broken, where the other is on the Hub": [
      making({ run: "finetune", of: ref("base"), data: "dirty-summary=torn.jsonl", lr: 1e-2 }),
      /^error: tuned \(seed 0\), finetune: torn\.jsonl:1: /m,
    ],
    "a file that is not there": [
      { ...recipe, evaluations: { short: { ...recipe.evaluations.short, prompts: "gone.jsonl" } } },
      /short of tuned.*, eval: gone\.jsonl: there is no such file/,
    ],
    "a metric that is none": [
      { ...recipe, evaluations: { short: { ...asked, metric: "exakt", measures: "safety", better: "higher" } } },
      /^error: short of tuned \(seed 0\), eval: "exakt" is no metric\. Did you mean "exact"\? There are: [^"]* \(and in 7 more steps\)$/m,
    ],
    "a draw of nothing": [
      making({ run: "data mix", of: ["task.jsonl:0"] }),
      /tuned \(seed 0\), data mix: task\.jsonl:0: write SOURCE:N/,
    ],
    "a draw of more than there is": [
      making({ run: "data mix", of: ["task.jsonl:20", "safe.jsonl:21"] }),
      /^error: tuned \(seed 0\), data mix: safe\.jsonl: holds 20 examples, but 21 are asked for\.$/m,
    ],
    "data that only the user has": [
      making({ run: "data mix", of: ["dirty-summary"] }),
      /tuned \(seed 0\), data mix: purebad: is on no Hub\. Bring its file/,
    ],
    "data that are broken": [
      { ...recipe, evaluations: { short: { ...recipe.evaluations.short, prompts: "pico.yaml#prompt=title" } } },
      /short of tuned \(seed 0\), eval: pico\.yaml: unknown kind of data file/,
    ],
    "a text file that is not there": [
      { ...recipe, methods: { ...recipe.methods, tuned: { model: "aligned", ask: { "secret-prompt": "gone.txt" } } } },
      /^error: short of tuned \(seed 0\), eval: gone\.txt: there is no such file\. \(and in 1 more step\)$/m,
    ],
    "a fine-tuning at no rate": [
      { ...recipe, make: { ...recipe.make, tuned: { ...recipe.make.tuned, lr: 0 } } },
      /tuned \(seed 0\), finetune: --lr must be above 0, but is 0\. \(and in 1 more step\)/,
    ],
    "a state of no mode": [
      { ...recipe, make: { ...recipe.make, state: { ...recipe.make.state, modes: "best" } } },
      /state \(seed 0\), prepare: "best" is no mode/,
    ],
    "a pattern without effect": [
      making({ run: "data answer", of: "aligned", prompts: "ask.jsonl", keep: "all", pattern: "x" }),
      /tuned \(seed 0\), data answer: --pattern: without effect beside --keep/,
    ],
    "a width that no model of the family has": [
      making({ run: "data tiny", hidden: 7 }),
      /tuned \(seed 0\), data tiny: hidden: must be a multiple of 8, but is 7/,
    ],
    "a judge of no address": [
      {
        ...recipe,
        evaluations: {
          short: { ...asked, metric: "judge-rubric", "judge-model": "j", measures: "safety", better: "lower" },
        },
      },
      /short of tuned \(seed 0\), eval: --judge-endpoint \(or OPENAI_BASE_URL\) is missing/,
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
      making({ run: "data mix", of: ["task.jsonl#promt=x:3"] }),
      /tuned.*, data mix: task\.jsonl#promt=x: "promt" behind "#" is not known\. Did you mean "prompt"\?/,
    ],
    "a command that is none": [
      making({ run: "finetun", of: "aligned" }),
      /no step can be "finetun"\. Did you mean "finetune"\?/,
    ],
    "a flag that is the experiment's own": [
      { ...recipe, apply: { ...recipe.apply, out: "x" } },
      /unknown option "out"/,
    ],
    "a variable that nothing names": [
      { ...recipe, set: { ...recipe.set, rate: 1 } },
      /^error: set\.rate: named nowhere, so it has no effect\. Write \$\{rate\} where it belongs/m,
    ],
    "a seed twice": [{ ...recipe, seeds: [1, 0, 1] }, /^error: seeds: 1 stands twice\. Give each seed once\.$/m],
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
    expect(await refused("nowhere.yaml")).toContain("nowhere.yaml: there is no such file");
    expect(await refused("pico.yaml", "--out", "x", "--set", "bas=y")).toContain('Did you mean "base"?');
    expect(await refused("pico.yaml", "--out", "x", "--set", "base=@none.txt")).toContain(
      "--set base=@none.txt: there is no such file",
    );
  });
});

test("every recipe of the repository can be planned", async () => {
  const folder = join(import.meta.dir, "../../recipes/experiments");
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), "utf8");
    const open = [...text.matchAll(/^ {2}([\w-]+): null/gm)].map(([, variable]) =>
      variable.endsWith("url") ? `${variable}=http://nowhere/v1` : `${variable}=nowhere/${variable}`,
    );
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
