import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp } from "node:fs/promises";
import { openSafetensors, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { parse } from "yaml";
import { folderHashes, writePico } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { dataFlags, drawFlags, largestGap, makeWorld, valuesOf, type World, writeAdapter } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const fromState = [...pair, "--state", "state"];

/** The aligned model with these adapters merged into it, one after the other. */
function merged(...adapters: readonly string[]): Promise<Map<string, Float32Array>> {
  return valuesOf(["aligned", ...adapters].map((name) => world.at(name)).join("+"));
}

async function valuesIn(path: string): Promise<Tensor[]> {
  const file = await openSafetensors(path);
  const tensors = await Promise.all([...file.tensors.keys()].map((name) => file.read(name)));
  await file.close();
  return tensors.map((tensor) => ({ ...tensor, bytes: tensor.bytes.slice() }));
}

/** The front matter of a model card. */
function headerOf(card: string): Record<string, unknown> {
  return parse(card.slice(4, card.indexOf("\n---\n", 4)));
}

const dials: readonly (readonly [string, string, string])[] = [
  ["optimal", "--loss", "0.1"],
  ["optimal", "--global-loss", "0.1"],
  ["optimal", "--strength", "2"],
  ["exact", "--loss", "0.1"],
  ["exact", "--global-loss", "0.1"],
  ["exact", "--keep", "0.5"],
  ["reference", "--scale", "0.5"],
  ["reference", "--loss", "0.1"],
  ["none", "--scale", "0.5"],
  ["paper", "--scale", "0.5"],
];

describe("apply", () => {
  for (const [mode, flag, value] of dials) {
    test.concurrent(`--mode ${mode} ${flag} ${value}`, async () => {
      const out = `out${mode}${flag}`;
      const args = ["apply", ...fromState, "--mode", mode, flag, value, "--out", out];
      const facts = await jsonOf(world.path, args);
      expect(facts).toMatchObject({ out, mode, totals: { nLinears: 14 }, dtype: "F32" });
      expect(facts.totals.deltaNorm).toBeGreaterThan(0);
      if (flag === "--loss" || flag === "--global-loss") {
        expect(facts.totals.safetyLossShare).toBeGreaterThan(0);
        expect(facts.totals.safetyLossShare).toBeLessThanOrEqual(0.1001);
      }
      const saved = await Bun.file(world.at(out, "safedelta.json")).json();
      expect(saved.recipe).toMatchObject({ mode, [flag.slice(2)]: Number(value), out });
      expect(saved.tensors).toEqual(facts.tensors);
    });
  }

  test.concurrent("without a budget the mode's own default holds", async () => {
    const facts = await jsonOf(world.path, ["apply", ...fromState, "--mode", "reference", "--out", "default"]);
    expect(facts.budget).toEqual({ kind: "scale", value: 0.1 });
  });

  test.concurrent("--task-data changes the repair at the same safety loss", async () => {
    const args = ["apply", ...fromState, "--loss", "0.1"];
    const plain = await jsonOf(world.path, [...args, "--out", "plain"]);
    const task = await jsonOf(world.path, [...args, "--task-data", "task.jsonl", ...drawFlags, "--out", "task"]);
    expect(task.taskData).toMatchObject({ nExamples: 20 });
    expect(task.totals.safetyLossShare).toBeCloseTo(plain.totals.safetyLossShare, 3);
    expect(largestGap(await valuesOf(world.at("task")), await valuesOf(world.at("plain")))).toBeGreaterThan(1e-4);
  });

  test.concurrent("--task-through is told by the recipe, and refused where it says nothing", async () => {
    const args = ["apply", ...fromState, "--task-through", "aligned"];
    await succeed(world.path, [...args, "--task-data", "task.jsonl", ...drawFlags, "--out", "through"]);
    const { recipe } = await Bun.file(world.at("through", "safedelta.json")).json();
    expect(recipe["task-through"]).toBe("aligned");
    const again = ["apply", ...fromState, "--task-data", "task.jsonl", ...drawFlags, "--task-through", "through"];
    await succeed(world.path, [...again, "--out", "second pass"]);
    const second = await Bun.file(world.at("second pass", "safedelta.json")).json();
    expect(second).toMatchObject({ recipe: { "task-through": "through" }, third: { spec: "through" } });
    expect(second.tensors).not.toEqual((await Bun.file(world.at("through", "safedelta.json")).json()).tensors);
    expect(await Bun.file(world.at("second pass", "README.md")).text()).toContain("task data through");
    expect((await jsonOf(world.path, ["verify", "second pass"])).ok).toBe(true);
    const { code, stderr } = await safedelta(world.path, [...args, "--out", "nothing"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("--task-through: without effect without --task-data"),
    });
  });

  test.concurrent("without --state it prepares on the way, to the same weights", async () => {
    const args = ["apply", ...pair, "--loss", "0.1"];
    await succeed(world.path, [...args, "--safe-data", "safe.jsonl", ...dataFlags, "--out", "on-the-way"]);
    await succeed(world.path, [...args, "--state", "state", "--out", "prepared"]);
    expect(largestGap(await valuesOf(world.at("on-the-way")), await valuesOf(world.at("prepared")))).toBe(0);
  });

  test.concurrent("both engines give the same model to rounding", async () => {
    const args = ["apply", ...fromState, "--loss", "0.1"];
    const facts = await jsonOf(world.path, [...args, "--engine", "reference", "--out", "slow"]);
    expect(facts.engine.name).toBe("reference");
    await succeed(world.path, [...args, "--engine", "wasm", "--out", "fast"]);
    expect(largestGap(await valuesOf(world.at("slow")), await valuesOf(world.at("fast")))).toBeLessThan(1e-5);
  });

  test.concurrent("the recorded recipe makes the same model again, and the recorded commands do", async () => {
    const args = ["apply", ...fromState, "--loss", "0.2", "--rest", "tuned", "--out", "first"];
    await succeed(world.path, args);
    const { recipe, command } = await Bun.file(world.at("first/safedelta.json")).json();
    await Bun.write(world.at("again.yaml"), JSON.stringify(recipe));
    const before = await folderHashes(world.at("first"));
    await succeed(world.path, ["apply", "--recipe", "again.yaml", "--overwrite"]);
    expect(await folderHashes(world.at("first"))).toEqual(before);
    const lines: string[] = command.split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain("--modes reference,exact,optimal --engine ");
    for (const line of lines) {
      const words = line.replace("--out state", "--out state2").replace("--state state", "--state state2").split(" ");
      await succeed(world.path, [...words.slice(3), "--overwrite"]);
    }
    expect((await jsonOf(world.path, ["verify", "first", "--state", "state2"])).ok).toBe(true);
    expect((await folderHashes(world.at("first")))["model.safetensors"]).toBe(before["model.safetensors"]);
  });

  test.concurrent("the card names local models by their folders, and nothing written depends on the machine", async () => {
    await succeed(world.path, [
      "apply",
      "--aligned",
      world.at("aligned"),
      "--tuned",
      "./tuned/",
      "--state",
      "state",
      "--out",
      "card",
    ]);
    const card = await Bun.file(world.at("card/README.md")).text();
    const header = headerOf(card);
    expect(header).not.toHaveProperty("license");
    expect(header).not.toHaveProperty("base_model");
    expect(card).toContain("licence: not stated by the aligned model");
    expect(header).toMatchObject({ library_name: "transformers" });
    const { engine, aligned } = await Bun.file(world.at("card/safedelta.json")).json();
    expect(Object.keys(engine).sort()).toEqual(["description", "name", "version"]);
    expect(aligned.spec).toBe(world.at("aligned"));
    expect((await Bun.file(world.at("state/state.json")).json()).engine).toEqual(engine);
  });

  test.concurrent("the licence is the one that the aligned model's card states, and its licence file is copied", async () => {
    await cp(world.at("aligned"), world.at("licensed"), { recursive: true });
    await Bun.write(world.at("licensed/README.md"), "---\nlanguage: en\nlicense: llama3.2\n---\n# Its own card\n");
    await Bun.write(world.at("licensed/LICENSE"), "terms");
    const args = ["apply", "--aligned", "licensed", "--tuned", "tuned", "--state", "state", "--out", "under"];
    expect((await jsonOf(world.path, args)).licence).toBe("llama3.2");
    const card = await Bun.file(world.at("under/README.md")).text();
    expect(headerOf(card).license).toBe("llama3.2");
    expect(card).not.toContain("Its own card");
    expect(await Bun.file(world.at("under/LICENSE")).text()).toBe("terms");
  });

  test.concurrent("the same command again says that the result is there", async () => {
    const args = ["apply", ...fromState, "--loss", "0.1", "--out", "twice"];
    await succeed(world.path, args);
    const { code, stderr } = await safedelta(world.path, args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/twice: a finished repaired model is there already\. .*safedelta verify twice.*--overwrite/);
    await succeed(world.path, [...args, "--overwrite"]);
  });
});

describe("what apply refuses", () => {
  test.concurrent("an output inside its own state", async () => {
    const { code, stderr } = await safedelta(world.path, [
      "apply",
      ...fromState,
      "--out",
      "state/sub",
      "--loss",
      "0.1",
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain("state/sub: lies in the state state");
  });

  test.concurrent("a number of threads that is none, whatever engine auto would take", async () => {
    const env = { SAFEDELTA_THREADS: "many" };
    const { code, stderr } = await safedelta(world.path, ["apply", ...fromState, "--out", "threads"], { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: SAFEDELTA_THREADS: "many" is not a finite number$/m);
  });

  test.concurrent("and warns of: a budget so small that rounding to 16 bits spends more", async () => {
    await writePico(world.at("half"), { seed: 1, dtype: "F16" });
    await writePico(world.at("half-tuned"), { seed: 1, dtype: "F16", delta: { seed: 2, size: 0.02 } });
    const half = ["--aligned", "half", "--tuned", "half-tuned", "--safe-data", "safe.jsonl", ...dataFlags];
    const { stderr } = await succeed(world.path, ["apply", ...half, "--loss", "1e-8", "--out", "half-out"]);
    expect(stderr).toContain("rounding to F16 spends safety loss beyond the budget");
  });
});

describe("apply to a LoRA adapter", () => {
  const args = ["apply", "--aligned", "aligned", "--tuned", "adapter", "--state", "state", "--loss", "0.1"];

  test("--out-format lora, merged, equals the repaired merge to rounding", async () => {
    const facts = await jsonOf(world.path, [...args, "--out-format", "lora", "--out", "lora"]);
    await succeed(world.path, [...args, "--out", "merged"]);
    const [lora, merged] = [
      await valuesOf(`${world.at("aligned")}+${world.at("lora")}`),
      await valuesOf(world.at("merged")),
    ];
    expect(largestGap(lora, merged)).toBeLessThan(1e-5);
    expect(largestGap(merged, await valuesOf(world.at("aligned")))).toBeGreaterThan(1e-3);
    expect(facts.totals.safetyLossShare).toBeCloseTo(0.1, 3);
    const config = (folder: string) => Bun.file(world.at(folder, "adapter_config.json")).text();
    expect(await config("lora")).toBe(await config("adapter"));
  });

  test("the card is an adapter's, and verify holds", async () => {
    const header = headerOf(await Bun.file(world.at("lora/README.md")).text());
    expect(header).toMatchObject({ library_name: "peft", pipeline_tag: "text-generation" });
    for (const key of ["base_model", "base_model_relation"]) expect(header).not.toHaveProperty(key);
    const found = await jsonOf(world.path, ["verify", "lora"]);
    expect(found).toMatchObject({ ok: true, nTensors: 28, inputsChecked: true, stateChecked: true, problems: [] });
  });

  test.concurrent("--global-loss shares one pool", async () => {
    const pooled = [...args.slice(0, -2), "--global-loss", "0.1", "--out-format", "lora", "--out", "pooled"];
    expect((await jsonOf(world.path, pooled)).totals.safetyLossShare).toBeCloseTo(0.1, 3);
  });

  test("is refused where no low-rank result exists", async () => {
    const refusals: [string[], RegExp][] = [
      [["--mode", "exact", "--out-format", "lora"], /works with --mode optimal only/],
      [["--task-data", "task.jsonl", "--out-format", "lora"], /does not take --task-data/],
    ];
    for (const [flags, why] of refusals) {
      const { code, stderr } = await safedelta(world.path, [...args, ...flags, "--out", "no"]);
      expect(code).toBe(2);
      expect(stderr).toMatch(why);
    }
    const whole = await safedelta(world.path, ["apply", ...fromState, "--out-format", "lora", "--out", "no"]);
    expect(whole.code).toBe(2);
    expect(whole.stderr).toContain("tuned is not a LoRA adapter");
    await Bun.write(world.at("begun/.safedelta-work/journal.jsonl"), "");
    const begun = await safedelta(world.path, [...args, "--out-format", "lora", "--out", "begun"]);
    expect(begun.code).toBe(2);
    expect(begun.stderr).toContain("begun: holds unfinished work on a whole model");
    const over = await safedelta(world.path, [...args, "--out-format", "lora", "--out", "merged", "--overwrite"]);
    expect(over.code).toBe(2);
    expect(over.stderr).toContain("a whole model is there");
  });

  test("is refused where the adapter is not all of the fine-tuning, whatever it lies on", async () => {
    await writeAdapter(world.at("second"), world.at("aligned"), 9);
    await writePico(world.at("other"), { seed: 7 });
    const lora = ["apply", "--state", "state", "--loss", "0.1", "--out-format", "lora"];
    const chains = ["aligned+adapter+second", "other+adapter"];
    for (const tuned of chains) {
      for (const more of [[], ["--dry-run"]]) {
        const args = [...lora, "--aligned", "aligned", "--tuned", tuned, "--out", "chain", ...more];
        const { code, stderr } = await safedelta(world.path, args);
        expect({ tuned, code }).toEqual({ tuned, code: 2 });
        expect(stderr).toMatch(/the adapter of .* lies on .*, whose .* is not the aligned model's/);
      }
    }
    await succeed(world.path, [...lora, "--aligned", "aligned", "--tuned", "aligned+adapter", "--out", "spelled"]);
    const [spelled, bare] = [await merged("spelled"), await merged("lora")];
    expect(largestGap(spelled, bare)).toBe(0);
  });

  test("a chain is repaired on the model that it lies on", async () => {
    const base = "aligned+adapter";
    await succeed(world.path, [
      "prepare",
      base,
      "--safe-data",
      "safe.jsonl",
      ...dataFlags,
      "--modes",
      "optimal",
      "--out",
      "chain-state",
    ]);
    const args = ["apply", "--aligned", base, "--tuned", `${base}+second`, "--state", "chain-state", "--loss", "0.1"];
    await succeed(world.path, [...args, "--out-format", "lora", "--out", "chain-lora"]);
    await succeed(world.path, [...args, "--out", "chain-merged"]);
    const [lora, whole] = [await merged("adapter", "chain-lora"), await valuesOf(world.at("chain-merged"))];
    expect(largestGap(lora, whole)).toBeLessThan(1e-5);
  });

  test("a transposed pair is refused", async () => {
    await cp(world.at("adapter"), world.at("turned"), { recursive: true });
    const path = world.at("turned/adapter_config.json");
    await Bun.write(path, JSON.stringify({ ...(await Bun.file(path).json()), fan_in_fan_out: true }));
    const turned = [...args, "--out-format", "lora", "--out", "no"].map((word) =>
      word === "adapter" ? "turned" : word,
    );
    const { code, stderr } = await safedelta(world.path, turned);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/fan_in_fan_out|another base/);
  });

  test("an adapter that changes nothing is told", async () => {
    await cp(world.at("adapter"), world.at("idle"), { recursive: true });
    const path = world.at("idle/adapter_model.safetensors");
    const tensors = await valuesIn(path);
    await writeSafetensors(
      path,
      tensors.map((tensor) => (tensor.name.includes("lora_B") ? { ...tensor, bytes: tensor.bytes.fill(0) } : tensor)),
    );
    const idle = [...args, "--out-format", "lora", "--out", "idle-out"].map((word) =>
      word === "adapter" ? "idle" : word,
    );
    expect((await succeed(world.path, idle)).stderr).toContain("there was nothing to repair");
  });

  test.concurrent("other files in the output folder stay", async () => {
    await Bun.write(world.at("kept/.note"), "mine");
    await succeed(world.path, [...args, "--out-format", "lora", "--out", "kept"]);
    await succeed(world.path, [...args, "--out-format", "lora", "--out", "kept", "--overwrite"]);
    expect(await Bun.file(world.at("kept/.note")).text()).toBe("mine");
    expect(await folderHashes(world.at("kept"))).not.toHaveProperty(".safedelta-work");
  });
});
