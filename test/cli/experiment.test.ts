import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp, readdir, readFile, rename, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { lockFolder } from "@safedelta/pipeline";
import { experimentUnderWay } from "../../cli/src/experiment/outFolder.ts";
import { startPeer } from "../evaluation/peer.ts";
import { killedBeforeItsEnd } from "./kill.ts";
import { asked, makePicoWorld, recipe, writeYaml } from "./picoExperiment.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import type { World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

/** What these tests look at of a planned step. */
interface Step {
  readonly id: string;
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly options: Readonly<Record<string, string>>;
}

const nSteps = 1 + 2 + 3 * 2 + 4 * 2 * 2;
const run = ["experiment", "pico.yaml", "--engine", "wasm", "--jobs", "2"];

let world: World;
beforeAll(async () => {
  world = await makePicoWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

function write(name: string, value: object): Promise<number> {
  return writeYaml(world, name, value);
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

  test("asks each model once: the second evaluation has the answers of the first, and the values of its own", async () => {
    const { steps } = await jsonOf(world.path, [...run, "--out", "other", "--dry-run"]);
    const evaluations = steps.filter(({ command }: Step) => command === "eval");
    const sharing: Step[] = evaluations.filter(({ options }: Step) => options.answers !== undefined);
    expect(sharing.map(({ title }) => title.split(" ")[0])).toEqual(Array(8).fill("task"));
    const [{ id, args, options }] = sharing;
    const kept = await readFile(world.at("whole", "logs", `${id}.txt`), "utf8");
    expect(kept).toContain(`answers: those of ${options.answers.replace("other/", "whole/")}/results_`);
    const words = ["--prompts", "ask.jsonl", "--max-new-tokens", "4", "--limit", "6", "--metric", "rouge1"];
    const model = args[0].replace("other/", "whole/");
    const own = await jsonOf(world.path, ["eval", model, ...words, "--engine", "wasm", "--out", "alone"]);
    const { document } = JSON.parse(await readFile(world.at("whole", "done", `${id}.json`), "utf8"));
    expect(document.metrics).toEqual(own.metrics);
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

  test("--methods writes the table of some rows into a folder of its own", async () => {
    const whole = await readFile(world.at("whole", "results.json"), "utf8");
    const { stderr } = await succeed(world.path, [...run, "--out", "whole", "--methods", "half"]);
    expect(stderr).toContain("part (results.json");
    expect(await readFile(world.at("whole", "results.json"), "utf8")).toBe(whole);
    const { cases } = await Bun.file(world.at("whole", "part", "results.json")).json();
    expect(cases[0].rows.map(({ method }: { method: string }) => method)).toEqual(["tuned", "half"]);
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

  test("what it made and is damaged is made again where it is needed, which is told; the results are the same", async () => {
    const [whole, done] = [await resultsOf("kept"), await recordsOf("kept")];
    const made = (kind: RegExp) =>
      Object.keys(done)
        .map((name) => name.replace(/\.json$/, ""))
        .find((id) => kind.test(id));
    const [tuned, measured] = [made(/^tuned-/), made(/^short-tuned-/)];
    await truncate(world.at("kept", "made", String(tuned), "model.safetensors"), 100);
    await rm(world.at("kept", "made", String(measured)), { recursive: true });
    const { stderr } = await succeed(world.path, [...run, "--out", "kept", "--seeds", "1"]);
    expect(stderr).toContain("steps, 2 of them to do");
    expect(stderr).toMatch(
      new RegExp(`warning: kept/made/${tuned}: has another size than when tuned .* made it; it is made again`),
    );
    expect(await resultsOf("kept")).toEqual(whole);
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

  test("an evaluation whose judge is down gives its answers to no other, so the others are measured", async () => {
    let isDead = true;
    using judge = startPeer(() => (isDead ? new Response("gone", { status: 404 }) : "Class: refusal"));
    const judged = { ...asked, metric: "judge-refusal", "judge-endpoint": judge.url, "judge-model": "j" };
    const { half } = recipe.methods;
    const evaluations = { judged: { ...judged, measures: "safety", better: "higher" }, ...recipe.evaluations };
    await write("judged.yaml", { ...recipe, seeds: [0], methods: { half }, against: "half", evaluations });
    const args = ["experiment", "judged.yaml", "--engine", "wasm", "--out", "judged"];
    const { code, stdout } = await safedelta(world.path, [...args, "--json"]);
    const { failed, skipped } = JSON.parse(stdout);
    expect({ code, failed, skipped }).toEqual({
      code: 1,
      failed: ["judged of half (seed 0)"],
      skipped: [],
    });
    expect(
      Object.keys((await jsonOf(world.path, ["report", "judged/incomplete"])).experiments[0].cases[0].rows[0].entries),
    ).toEqual(["short", "task"]);
    isDead = false;
    const found = await jsonOf(world.path, args);
    expect(Object.keys(found.cases[0].rows[0].entries)).toEqual(["judged", "short", "task"]);
    const made = await readdir(world.at("judged", "made"));
    expect(made.filter((name) => name.startsWith("half-"))).toEqual([]);
  });

  test("a step's warnings are told, and stand with the results, again without the step", async () => {
    const state = { ...recipe.make.state, samples: 1 };
    const { against: _, ...rest } = recipe;
    const methods = { optimal: { apply: { mode: "optimal", loss: 0.1 } } };
    await writeYaml(world, "warned.yaml", { ...rest, seeds: [0], make: { ...recipe.make, state }, methods });
    const args = ["experiment", "warned.yaml", "--engine", "wasm", "--out", "warned"];
    const told = /state \(seed 0\), prepare: the safe examples have \d+ tokens that count, fewer than the 40 inputs/;
    expect((await succeed(world.path, args)).stderr).toMatch(told);
    for (let run = 0; run < 2; run++) {
      expect(await readFile(world.at("warned", "table.md"), "utf8")).toMatch(told);
      const { warnings } = await Bun.file(world.at("warned", "results.json")).json();
      expect(warnings[0]).toMatch(told);
      await succeed(world.path, args);
    }
  });

  test("what another engine made does not count, which is told", async () => {
    const flags = ["--out", "kept", "--seeds", "1", "--dry-run", "--engine"];
    const { stderr } = await succeed(world.path, ["experiment", "pico.yaml", ...flags, "reference"]);
    expect(stderr).toMatch(
      /warning: kept: its last run was on the engine wasm \(.*\); what that made does not count on reference \(.*\), but does with --engine wasm\n/,
    );
    expect((await succeed(world.path, ["experiment", "pico.yaml", ...flags, "wasm"])).stderr).not.toContain("warning");
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
