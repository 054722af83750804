/** What the command line writes, read by Python: LoRA adapters by PEFT, every safetensors file by safetensors. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { decodeF32, openCheckpoint, openSafetensors, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { succeed } from "../cli/run.ts";
import { largestGap, makeWorld, valuesOf, type World } from "../cli/world.ts";
import { scratchFolder } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import { absent, askAbilities, runPython } from "./python.ts";

const python = await askAbilities([]);
const missing = absent || (python.peft ? "" : "this Python has no peft");

/** A merged weight is one f32 product and sum: weights here are below 2. */
const rounding = 2e-6;

const dtypes: Readonly<Record<string, string>> = {
  F64: "float64",
  F32: "float32",
  BF16: "bfloat16",
  I32: "int32",
  U8: "uint8",
};

describe.skipIf(missing !== "")(`PEFT ${missing && `(skipped: ${missing})`}`, () => {
  test("the repaired adapter loads, and merged by PEFT it is the repaired model", async () => {
    await using world = await makeWorld();
    const repair = ["apply", "--aligned", "aligned", "--tuned", "adapter", "--state", "state", "--loss", "0.1"];
    await succeed(world.path, [...repair, "--out-format", "lora", "--out", "lora"]);
    await succeed(world.path, [...repair, "--out", "model"]);
    const merged = world.at("merged.safetensors");
    const facts = await runPython("merge_with_peft.py", world.at("aligned"), world.at("lora"), merged);
    expect(facts).toEqual({ rank: 2, nAdapted: 14 });
    const theirs = await valuesInFile(merged);
    expect(largestGap(theirs, await valuesOf(`${world.at("aligned")}+${world.at("lora")}`))).toBeLessThan(rounding);
    expect(largestGap(theirs, await valuesOf(world.at("model")))).toBeLessThan(rounding);
    expect(largestGap(theirs, await valuesOf(world.at("aligned")))).toBeGreaterThan(1e-3);
  }, 300_000);

  test("an adapter that finetune trained loads, and merged by PEFT it is what we make of it", async () => {
    await using world = await makeWorld({ withState: false });
    const tune = ["finetune", "aligned", "--data", "task.jsonl", "--lora-rank", "2", "--lr", "1e-2", "--out", "lora"];
    await succeed(world.path, tune);
    const merged = world.at("merged.safetensors");
    const facts = await runPython("merge_with_peft.py", world.at("aligned"), world.at("lora"), merged);
    expect(facts).toEqual({ rank: 2, nAdapted: 14 });
    const theirs = await valuesInFile(merged);
    expect(largestGap(theirs, await valuesOf(`${world.at("aligned")}+${world.at("lora")}`))).toBeLessThan(rounding);
    expect(largestGap(theirs, await valuesOf(world.at("aligned")))).toBeGreaterThan(1e-3);
  }, 300_000);

  test("an untied end of a tied base is refused: of some kinds PEFT itself cannot save what it merged", async () => {
    await using scratch = await scratchFolder();
    const gaps = await runPython<Record<string, [number, number]>>("tied_adapters.py", scratch.path);
    expect(Object.values(gaps).some(([, reloaded]) => reloaded > 0.1)).toBe(true);
    for (const kind of Object.keys(gaps)) {
      const open = openCheckpoint(`${scratch.path}/base+${scratch.path}/${kind}`);
      await expect(open).rejects.toThrow(/ties its output to its embeddings/);
    }
  }, 300_000);
});

describe.skipIf(absent !== "")(`safetensors of Python ${absent && `(skipped: ${absent})`}`, () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld({ dtype: "BF16" });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test("reads states, models in shards and the output of layer as we do", async () => {
    const repair = ["apply", "--aligned", "aligned", "--tuned", "tuned", "--state", "state", "--loss", "0.1"];
    await succeed(world.path, [...repair, "--out", "shards", "--max-shard-size", "4000"]);
    await writeLayerInput(world.at("linear.safetensors"));
    await succeed(world.path, [
      "layer",
      "linear.safetensors",
      "--mode",
      "exact",
      "--keep",
      "0.5",
      "--out",
      "layer.safetensors",
    ]);
    const files = [...(await safetensorsIn(world.at("state"))), ...(await safetensorsIn(world.at("shards")))];
    expect(files.length).toBeGreaterThan(10);
    files.push(world.at("layer.safetensors"));
    const found = await runPython<Record<string, unknown>>("read_safetensors.py", ...files);
    for (const file of files)
      expect({ file, ...(found[file] as object) }).toEqual({ file, ...(await describeFile(file)) });
  }, 300_000);
});

async function valuesInFile(path: string): Promise<Map<string, Float32Array>> {
  const file = await openSafetensors(path);
  const values = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) values.set(name, decodeF32(await file.read(name)));
  await file.close();
  return values;
}

/** What read_safetensors.py says of a file, by our own reader. */
async function describeFile(path: string) {
  const file = await openSafetensors(path);
  const tensors: Record<string, unknown> = {};
  for (const name of file.tensors.keys()) {
    const { dtype, shape, bytes } = await file.read(name);
    tensors[name] = [dtypes[dtype], [...shape], new Bun.CryptoHasher("sha256").update(bytes).digest("hex")];
  }
  await file.close();
  return { metadata: { format: "pt" }, tensors };
}

async function safetensorsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith(".safetensors")).map((name) => join(folder, name));
}

/** A random linear of 6 x 8 with two examples of activations. */
async function writeLayerInput(path: string): Promise<void> {
  const random = new Random(3);
  const tensor = (name: string, rows: number): Tensor => {
    const values = random.normals(rows * 8);
    return { name, dtype: "F32", shape: [rows, 8], bytes: new Uint8Array(values.buffer) };
  };
  await writeSafetensors(path, [tensor("aligned", 6), tensor("tuned", 6), tensor("x0", 5), tensor("x1", 9)]);
}
