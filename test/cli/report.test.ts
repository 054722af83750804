import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ReportData } from "@safedelta/report";
import { tinyFolder } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
const pair = ["--aligned", "aligned", "--tuned", "tuned"];

beforeAll(async () => {
  world = await makeWorld();
  const told = await succeed(world.path, [
    "apply",
    ...pair,
    "--state",
    "state",
    "--loss",
    "0.1",
    "--out",
    "repaired",
    "--json",
  ]);
  await Bun.write(world.at("run.json"), told.stdout);
  const budgets = ["--modes", "optimal,reference", "--loss", "0.01,0.5", "--scale", "1"];
  const swept = await succeed(world.path, ["sweep", ...pair, "--state", "state", ...budgets, "--json"]);
  await Bun.write(world.at("sweep.json"), swept.stdout);
  await cp(join(tinyFolder, "eval-new.jsonl"), world.at("new.jsonl"));
  for (const model of ["aligned", "tuned", "repaired"])
    await evaluate(model, ["--prompts", "new.jsonl", "--metric", "exact"], "answers");
  await evaluate("tuned", ["--prompts", "safe.jsonl", "--metric", "asr-keywords"], "harm");
});
afterAll(() => world[Symbol.asyncDispose]());

function evaluate(model: string, how: readonly string[], out: string) {
  return succeed(world.path, ["eval", model, ...how, "--limit", "3", "--max-new-tokens", "4", "--out", out]);
}

const report = (...args: readonly string[]) => jsonOf(world.path, ["report", ...args]) as Promise<ReportData>;

describe("report", () => {
  test.concurrent("of a repair, its evaluations, a sweep and the run", async () => {
    const files = ["--sweep", "sweep.json", "--run", "run.json"];
    const data = await report("repaired", "answers", ...files);
    expect(data.repairs).toMatchObject([{ budget: { kind: "loss", value: 0.1 } }]);
    expect(data.evaluations.map(({ role, nAnswers }) => [role, nAnswers])).toEqual([
      ["aligned", 3],
      ["tuned", 3],
      ["repaired", 3],
    ]);
    expect(data.comparisons.map(({ from, to, n }) => [from, to, n])).toEqual([
      ["aligned", "repaired", 3],
      ["tuned", "repaired", 3],
    ]);
    expect(data.sweep.map(({ mode, budget }) => `${mode} ${budget}`)).toEqual([
      "optimal --loss 0.01",
      "optimal --loss 0.5",
      "reference --loss 0.01",
      "reference --loss 0.5",
      "reference --scale 1",
    ]);
    expect(data.spectra.map(({ layer, group, kind }) => [layer, group, kind])).toContainEqual([
      1,
      "down",
      "eigenvalues",
    ]);
    const { run } = data;
    expect(run?.stages.map(({ name }) => name)).toContain("repairing");
    const sum = run?.stages.reduce((total, { ms }) => total + ms, 0) ?? 0;
    expect(sum).toBeLessThanOrEqual(run?.ms ?? 0);
    expect(data.sampleSets.map(({ models }) => models)).toEqual([["aligned", "tuned", "repaired"]]);
    const { stdout } = await succeed(world.path, ["report", "repaired", "answers", ...files]);
    for (const words of ["Safe Delta repair of tuned", "aligned → repaired", "optimal --loss 0.5", "copying the rest"])
      expect(stdout).toContain(words);
  });

  test.concurrent("as a page with its data beside it, never over what stands there unless told", async () => {
    const args = ["report", "repaired", "answers", "--out", "page.html"];
    const { stdout } = await succeed(world.path, args);
    expect(stdout).toBe("written: page.html, page.json\n");
    const page = await Bun.file(world.at("page.html")).text();
    const { out: _, ...told } = (await report("repaired", "answers")) as ReportData & { out?: string };
    expect(await Bun.file(world.at("page.json")).json()).toEqual(told);
    expect(page).toStartWith("<!doctype html>");
    const again = await safedelta(world.path, args);
    expect({ code: again.code, stderr: again.stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("page.html: is there already"),
    });
    await succeed(world.path, [...args, "--overwrite"]);
    expect(await Bun.file(world.at("page.html")).text()).toBe(page);
  });

  test.concurrent("apply's own page is that of its output alone", async () => {
    const page = await Bun.file(world.at("repaired/report.html")).text();
    const [, held = ""] = /<script type="application\/json"[^>]*>(.*)<\/script>/.exec(page) ?? [];
    const { files, ...repair } = JSON.parse(held).repairs[0];
    const saved = await Bun.file(world.at("repaired/safedelta.json")).json();
    expect(saved).toMatchObject({ ...repair, files });
    expect(Object.keys(saved.files).filter((name) => !(name in files))).toEqual(["report.html"]);
    expect(page).not.toContain("peakMemoryBytes");
  });

  test.concurrent("answers to what is judged for harm are left out unless asked for", async () => {
    const held = await report("repaired", "harm");
    expect(held.withheld).toEqual([{ task: "safe", nPrompts: 3 }]);
    expect(held.sampleSets).toEqual([]);
    const shown = await report("repaired", "harm", "--show-harmful", "--samples", "2");
    expect(shown.withheld).toEqual([]);
    expect(shown.sampleSets).toMatchObject([{ harmful: true, models: ["tuned"] }]);
    expect(shown.sampleSets[0].samples).toHaveLength(2);
  });

  test.concurrent("an evaluation that looked at the model itself has a value and no answers", async () => {
    const measured = ["--metric", "kl-aligned", "--aligned", "aligned", "--limit", "3", "--out", "proxies"];
    await succeed(world.path, ["eval", "tuned", "--prompts", "safe.jsonl", ...measured]);
    const { evaluations, sampleSets, withheld } = await report("repaired", "proxies");
    expect(evaluations).toMatchObject([{ metrics: [{ metric: "kl-aligned", n: 3 }], nAnswers: 0 }]);
    expect([sampleSets, withheld]).toEqual([[], []]);
  });

  test.concurrent("of a folder of outputs, and of a fine-tuning", async () => {
    await succeed(world.path, [
      "sweep",
      ...pair,
      "--state",
      "state",
      "--modes",
      "optimal",
      "--loss",
      "0.2,0.4",
      "--out",
      "several",
    ]);
    const { repairs, plots } = await report("several");
    expect(repairs.map(({ budget }) => budget?.value)).toEqual([0.2, 0.4]);
    expect(plots.curve.data.values.map(({ series }) => series)).toEqual([
      "this model (optimal --loss 0.2)",
      "optimal",
      "aligned model",
      "fine-tuned model",
    ]);
    const { trainings } = await report(join(tinyFolder, "tuned"));
    expect(trainings).toMatchObject([{ nUpdates: 320 }]);
  });

  test.concurrent("of evaluations alike, the newest", async () => {
    const results = { task: "t", promptsSha256: "p", prompts: "new.jsonl", model: { model: "m", sha256: "h" } };
    for (const [time, value] of [
      ["2026-01-02", 0.2],
      ["2026-01-03", 0.3],
      ["2026-01-01", 0.1],
    ] as const) {
      const metrics = [{ metric: "exact", kind: "rate", value, n: 1, nUnparsed: 0 }];
      const samplesFile = `samples_${time}.jsonl`;
      await Bun.write(world.at("thrice", samplesFile), "");
      await Bun.write(
        world.at(`thrice/results_${time}.json`),
        JSON.stringify({ ...results, time, samplesFile, metrics }),
      );
    }
    const { evaluations } = await report("thrice");
    expect(evaluations.map(({ metrics }) => metrics[0].value)).toEqual([0.3]);
  });

  test.concurrent("spectra need the repair's own state", async () => {
    await cp(world.at("repaired"), world.at("far"), { recursive: true });
    await mkdir(world.at("elsewhere"), { recursive: true });
    const away = (await jsonOf(world.at("elsewhere"), ["report", "../repaired"])) as ReportData;
    expect(away.noSpectra).toContain("is not at state");
    const found = (await jsonOf(world.at("elsewhere"), ["report", "../repaired", "--state", "../state"])) as ReportData;
    expect(found.spectra).toHaveLength(8);
    const other = [
      "prepare",
      "tuned",
      "--safe-data",
      "safe.jsonl",
      "--samples",
      "5",
      "--max-tokens",
      "64",
      "--out",
      "other",
    ];
    await succeed(world.path, other);
    const { code, stderr } = await safedelta(world.path, ["report", "repaired", "--state", "other"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("--state other: is not the state of this repair"),
    });
  });

  const wrong: Record<string, readonly [args: readonly string[], says: RegExp]> = {
    "no folder": [[], /FOLDER is missing/],
    "a folder that is not there": [["nowhere"], /nowhere: holds no safedelta\.json/],
    "a folder of something else": [["aligned"], /aligned: holds no safedelta\.json/],
    "a page of another name": [["repaired", "--out", "page.txt"], /--out page\.txt: must end in \.html/],
    "a sweep that is none": [["repaired", "--sweep", "run.json"], /run\.json: is not what sweep --json prints: points/],
    "a run that is none": [["repaired", "--run", "sweep.json"], /sweep\.json: is not what apply --json prints: ms/],
    "a state without a repair": [["answers", "--state", "state"], /--state: without effect/],
  };
  for (const [what, [args, says]] of Object.entries(wrong))
    test.concurrent(`${what} is a usage error`, async () => {
      const { code, stdout, stderr } = await safedelta(world.path, ["report", ...args]);
      expect(stderr).toMatch(says);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    });

  const broken: Record<string, readonly [file: string, text: string, says: RegExp]> = {
    "an altered safedelta.json": [
      "safedelta.json",
      '{"schemaVersion":2}',
      /safedelta\.json: was changed after it was written/,
    ],
    "a safedelta.json of another kind": [
      "safedelta.json",
      '{"toolVersion":1}',
      /safedelta\.json: is not a repair's: toolVersion/,
    ],
    "no JSON": ["training.json", "{", /training\.json: cannot be read as JSON/],
    "results without their samples": [
      "results_1.json",
      JSON.stringify({
        task: "t",
        time: "1",
        samplesFile: "../../s.jsonl",
        promptsSha256: "p",
        prompts: "x",
        metrics: [],
        model: { model: "m" },
      }),
      /s\.jsonl: cannot be read/,
    ],
    "results of an experiment that are none": [
      "results.json",
      "[]",
      /results\.json: is not an experiment's: the document/,
    ],
  };
  for (const [what, [file, text, says]] of Object.entries(broken))
    test.concurrent(`${what} is told`, async () => {
      await Bun.write(world.at(`broken ${what}`, file), text);
      const { code, stderr } = await safedelta(world.path, ["report", `broken ${what}`]);
      expect(stderr).toMatch(says);
      expect(code).toBe(2);
    });
});
