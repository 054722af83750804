import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { folderHashes } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { largestGap, makeWorld, valuesOf, type World } from "./world.ts";

setDefaultTimeout(120_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await Bun.write(world.at("foreign/thesis.txt"), "mine");
  await Bun.write(world.at("silent.jsonl"), '{"messages": [{"role": "user", "content": "say hello to ben ."}]}\n');
});
afterAll(() => world[Symbol.asyncDispose]());

const tune = ["finetune", "aligned", "--data", "task.jsonl", "--batch", "5", "--epochs", "3", "--lr", "3e-3"];
const lora = [...tune, "--lora-rank", "2", "--lora-targets", "q_proj,down_proj"];

describe("finetune", () => {
  test.concurrent("writes a model that learned, its log, card and plot", async () => {
    const told = await jsonOf(world.path, [...tune, "--out", "full"]);
    expect(told.log.length).toBe(12);
    expect(told.log[11].loss).toBeLessThan(told.log[0].loss - 1);
    expect(told.log.map(({ epoch }: { epoch: number }) => epoch)).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    expect(told.peakMemoryBytes).toBeGreaterThan(0);
    const names = await readdir(world.at("full"));
    for (const name of ["config.json", "tokenizer.json", "model.safetensors", "README.md", "loss.svg", "training.json"])
      expect(names).toContain(name);
    const log = await Bun.file(world.at("full", "training.json")).json();
    expect(log.log).toEqual(told.log);
    expect(log.recipe).toMatchObject({ data: "task.jsonl", lr: 3e-3, batch: 5, epochs: 3, seed: 42, out: "full" });
    expect(JSON.stringify(log)).not.toMatch(/"ms"|peakMemory/);
    const [before, after] = [await valuesOf(world.at("aligned")), await valuesOf(world.at("full"))];
    for (const [name, values] of after)
      expect({ name, same: values === before.get(name) }).toEqual({ name, same: false });
    for (const [name, values] of after) expect(values).not.toEqual(before.get(name) as Float32Array);
  });

  test.concurrent("the recipe in training.json, and its command, make the same bytes again", async () => {
    await succeed(world.path, [...tune, "--max-updates", "3", "--out", "once"]);
    const { recipe } = await Bun.file(world.at("once", "training.json")).json();
    await Bun.write(world.at("again.yaml"), JSON.stringify({ ...recipe, out: "twice" }));
    await succeed(world.path, ["finetune", "aligned", "--recipe", "again.yaml"]);
    const [once, twice] = [await folderHashes(world.at("once")), await folderHashes(world.at("twice"))];
    expect(twice["model.safetensors"]).toBe(once["model.safetensors"]);
  });

  test.concurrent("--train linears leaves embeddings and norms as they were, bit for bit", async () => {
    await succeed(world.path, [...tune, "--train", "linears", "--out", "linears"]);
    const [before, after] = [await valuesOf(world.at("aligned")), await valuesOf(world.at("linears"))];
    const changed = [...after]
      .filter(([name, values]) => !Bun.deepEquals(values, before.get(name)))
      .map(([name]) => name);
    expect(changed.length).toBe(14);
    for (const name of changed) expect(name).toContain("_proj");
  });

  test.concurrent("a LoRA adapter opens on its base, can be repaired, and changes what it was asked to", async () => {
    await succeed(world.path, [...lora, "--out", "adapter-out"]);
    const [before, after] = [
      await valuesOf(world.at("aligned")),
      await valuesOf(`${world.at("aligned")}+${world.at("adapter-out")}`),
    ];
    const changed = [...after]
      .filter(([name, values]) => !Bun.deepEquals(values, before.get(name)))
      .map(([name]) => name);
    expect(changed.length).toBe(4);
    expect(largestGap(before, after)).toBeGreaterThan(1e-3);
    const repair = ["apply", "--aligned", "aligned", "--tuned", "adapter-out", "--state", "state"];
    await succeed(world.path, [...repair, "--out-format", "lora", "--out", "repaired-adapter"]);
  });

  test.concurrent("recomputing what memory cannot hold gives the same bytes; less still is refused with exit 5", async () => {
    const plan = await jsonOf(world.path, [...tune, "--dry-run", "--out", "x"]);
    expect(plan.recompute).toBe(false);
    const { memoryBytes } = plan.estimate;
    const little = String(memoryBytes - 1);
    expect((await jsonOf(world.path, [...tune, "--dry-run", "--out", "x", "--max-memory", little])).recompute).toBe(
      true,
    );
    await succeed(world.path, [...tune, "--out", "kept"]);
    await succeed(world.path, [...tune, "--out", "recomputed", "--max-memory", little]);
    const [kept, recomputed] = [await folderHashes(world.at("kept")), await folderHashes(world.at("recomputed"))];
    expect(recomputed["model.safetensors"]).toBe(kept["model.safetensors"]);
    const { code, stderr } = await safedelta(world.path, [...tune, "--out", "x", "--max-memory", "100MB"]);
    expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining("--pass-tokens") });
    expect(await readdir(world.path)).not.toContain("x");
  });

  test.concurrent("--dtype sets the storage of what was trained", async () => {
    await succeed(world.path, [
      ...tune,
      "--train",
      "linears",
      "--max-updates",
      "1",
      "--dtype",
      "bf16",
      "--out",
      "half",
    ]);
    const { stdout } = await succeed(world.path, ["inspect", join("half", "model.safetensors"), "--json"]);
    expect(stdout).toContain("BF16");
    expect(stdout).toContain("F32");
  });
});

/** Command lines that are wrong, and what the answer must say. */
const wrong: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  "missing --data": [["finetune", "aligned", "--out", "x"], /--data is missing/],
  "missing --out": [["finetune", "aligned", "--data", "task.jsonl"], /--out is missing/],
  "alpha without a rank": [[...tune, "--lora-alpha", "4", "--out", "x"], /need --lora-rank/],
  "a target that is none": [
    [...tune, "--lora-rank", "2", "--lora-targets", "q_prj", "--out", "x"],
    /no linear "q_prj"/,
  ],
  "--train beside an adapter": [[...lora, "--train", "linears", "--out", "x"], /--train: without effect/],
  "a rate of 0": [["finetune", "aligned", "--data", "task.jsonl", "--lr", "0", "--out", "x"], /--lr must be above 0/],
  "no answers": [["finetune", "aligned", "--data", "silent.jsonl", "--out", "x"], /no answer to learn from/],
  "out is the model": [[...tune, "--out", "aligned", "--overwrite"], /aligned: is an input/],
  "out holds something else": [[...tune, "--out", "foreign", "--overwrite"], /holds no fine-tuned model/],
  "an adapter over a model": [[...lora, "--out", "tuned", "--overwrite"], /tuned: is not empty/],
};

describe("exit code 2, one clear message, and nothing touched", () => {
  for (const [what, [args, message]] of Object.entries(wrong)) {
    test.concurrent(what, async () => {
      const { code, stdout, stderr } = await safedelta(world.path, args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/\n +at |defect/);
    });
  }
});
