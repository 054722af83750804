import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp, readdir, readFile, rename } from "node:fs/promises";
import { openSafetensors, writeSafetensors } from "@safedelta/checkpoint";
import { openModelFiles, type Progress } from "@safedelta/pipeline";
import { FakeHub } from "../checkpoint/fake-hub.ts";
import { safedelta } from "./run.ts";
import { dataFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
const odd = "model.layers.1.mlp.gate_up.weight";
beforeAll(async () => {
  world = await makeWorld();
  for (const name of ["aligned", "tuned"]) await withUnlisted(name, `odd-${name}`);
});
afterAll(() => world[Symbol.asyncDispose]());

/** A copy of a model as one shard that holds a tensor more than its index names. */
async function withUnlisted(model: string, copy: string): Promise<void> {
  await cp(world.at(model), world.at(copy), { recursive: true });
  const file = await openSafetensors(world.at(copy, "model.safetensors"));
  const names = [...file.tensors.keys()];
  const tensors = await Promise.all(names.map((name) => file.read(name)));
  await file.close();
  const shard = "model-00001-of-00001.safetensors";
  await rename(world.at(copy, "model.safetensors"), world.at(copy, shard));
  await writeSafetensors(world.at(copy, shard), [...tensors, { ...tensors[0], name: odd }]);
  const index = { weight_map: Object.fromEntries(names.map((name) => [name, shard])) };
  await Bun.write(world.at(copy, "model.safetensors.index.json"), JSON.stringify(index));
}

const pair = ["--aligned", "odd-aligned", "--tuned", "odd-tuned"];
const commands: readonly (readonly string[])[] = [
  ["inspect", "odd-aligned"],
  ["estimate", "odd-aligned"],
  ["diff", "odd-aligned", "aligned"],
  ["prepare", "odd-aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--out", "x", "--dry-run"],
  ["apply", ...pair, "--safe-data", "safe.jsonl", ...dataFlags, "--out", "y"],
  ["sweep", ...pair, "--state", "state", "--loss", "0.1"],
  ["generate", "odd-aligned", "--prompt", "hello", "--max-new-tokens", "2"],
];

describe("what opening a model tells", () => {
  for (const args of commands) {
    test.concurrent(`${args[0]} warns of an odd file, once`, async () => {
      const { code, stderr } = await safedelta(world.path, args);
      expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
      const line = /^warning: odd-aligned\/\S+: tensor model\.layers\.1\.mlp\.gate_up\.weight is not in the index/gm;
      expect(stderr.match(line)).toHaveLength(1);
    });
  }

  test("a download is a stage of each file, with a step each MiB", async () => {
    const commit = "0123456789abcdef0123456789abcdef01234567";
    const names = await readdir(world.at("aligned"));
    const files = await Promise.all(
      names.map(async (name) => [name, new Uint8Array(await readFile(world.at("aligned", name)))] as const),
    );
    using hub = new FakeHub("org/tiny", commit, new Map(files));
    const before = { ...process.env };
    Object.assign(process.env, { HF_ENDPOINT: hub.url, HF_HUB_CACHE: world.at("cache"), HF_HUB_OFFLINE: "" });
    const stages = new Map<string, { total: number; steps: number }>();
    let last: { total: number; steps: number } | undefined;
    const progress: Progress = {
      stage(name, total) {
        last = { total, steps: 0 };
        stages.set(name, last);
      },
      step() {
        if (last) last.steps++;
      },
      warn() {},
    };
    try {
      await using model = await openModelFiles("org/tiny", false, progress);
      expect(model.checkpoint.kind).toBe("hub");
    } finally {
      for (const name of ["HF_ENDPOINT", "HF_HUB_CACHE", "HF_HUB_OFFLINE"]) delete process.env[name];
      Object.assign(process.env, before);
    }
    expect([...stages.keys()].sort()).toEqual(names.map((name) => `downloading ${name}`).sort());
    for (const { total, steps } of stages.values()) expect(steps).toBe(total);
  });
});
