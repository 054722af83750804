import { suffix } from "bun:ffi";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { FakeHub } from "../checkpoint/fake-hub.ts";
import { tinyFolder } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { dataFlags, largestGap, makeWorld, valuesOf, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const json = (...args: readonly string[]) => jsonOf(world.path, args);
const run = (...args: readonly string[]) => succeed(world.path, args);
const pair = ["--aligned", "aligned", "--tuned", "tuned"];

describe("prepare", () => {
  test.concurrent("writes a state, tells its size before, and gives it back when asked again", async () => {
    const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--out", "made"];
    const { stdout, stderr } = await run(...args);
    expect(stderr).toMatch(/20 of 20 examples.*\n.*state: \S+ \w+ on disk/);
    expect(stdout).toMatch(/^next: .*run safedelta apply --aligned aligned/m);
    const again = await json(...args);
    expect(again).toMatchObject({
      state: "made",
      parts: { down: ["inverse", "spectrum"] },
      safeData: { nExamples: 20 },
    });
    expect(again.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(again.peakMemoryBytes).toBeGreaterThan(2 ** 20);
  });

  test.concurrent("--modes decides what the state serves", async () => {
    const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags, "--modes", "exact", "--out", "only"];
    expect((await run(...args)).stdout).toContain("--state only --mode exact --out REPAIRED");
    expect((await json(...args)).parts.down).toEqual(["ordered"]);
    const { code, stderr } = await safedelta(world.path, ["apply", ...pair, "--state", "only", "--out", "x"]);
    expect(code).toBe(4);
    expect(stderr).toContain("it was prepared for exact). Prepare again with --modes optimal");
  });
});

describe("sweep", () => {
  test.concurrent("every mode of the state with every budget it has", async () => {
    const args = ["sweep", ...pair, "--state", "state", "--loss", "0.01,0.1", "--scale", "0.5", "--keep", "0.5"];
    const { points } = await json(...args);
    const names = points.map(
      (point: { mode: string; budget: { kind: string } }) => `${point.mode} ${point.budget.kind}`,
    );
    const loss = ["reference", "none", "paper", "exact", "optimal"].flatMap((mode) => [`${mode} loss`, `${mode} loss`]);
    const scale = ["reference scale", "none scale", "paper scale"];
    expect(names.sort()).toEqual([...loss, ...scale, "exact keep"].sort());
    for (const point of points) {
      expect(point.safetyLossShare).toBeGreaterThanOrEqual(0);
      expect(point).not.toHaveProperty("linears");
    }
    const { stdout } = await run(...args);
    expect(stdout.trim().split("\n")).toHaveLength(2 + points.length);
  });

  test.concurrent("--linears adds those of every linear, --out writes the models", async () => {
    const args = ["sweep", ...pair, "--state", "state", "--modes", "optimal", "--loss", "0.1", "--linears"];
    const { points } = await json(...args, "--out", "models");
    expect(points[0].linears).toHaveLength(14);
    expect(points[0].out).toBe("models/optimal-loss-0.1");
    await run("apply", ...pair, "--state", "state", "--loss", "0.1", "--out", "alone");
    const gap = largestGap(await valuesOf(world.at("models/optimal-loss-0.1")), await valuesOf(world.at("alone")));
    expect(gap).toBe(0);
  });

  test.concurrent("what is named twice is swept and written once", async () => {
    const args = ["sweep", ...pair, "--state", "state", "--modes", "optimal,optimal", "--loss", "0.1,0.10,1e-1"];
    const { points } = await json(...args, "--out", "once");
    expect(points).toHaveLength(1);
    expect(await readdir(world.at("once"))).toEqual(["optimal-loss-0.1"]);
  });

  test.concurrent("at the ends of the dial no number is null", async () => {
    const args = ["sweep", ...pair, "--state", "state", "--loss", "0,1", "--global-loss", "0", "--linears"];
    const { points } = await json(...args);
    expect(points.length).toBeGreaterThan(6);
    expect(JSON.stringify(points)).not.toContain("null");
  });
});

describe("inspect", () => {
  test.concurrent("a model folder", async () => {
    const facts = await json("inspect", "aligned");
    expect(facts).toMatchObject({ kind: "folder", nTensors: 20, dtypes: ["F32"], problems: [] });
    expect((await run("inspect", "aligned")).stdout).toContain("llama: 2 layers, hidden 24");
  });

  test.concurrent("an adapter, and a base with it", async () => {
    expect(await json("inspect", "adapter")).toMatchObject({ kind: "adapter", nTensors: 28 });
    expect((await run("inspect", "adapter")).stdout).toContain('LoRA adapter of "aligned", 14 weights, rank 2');
    expect(await json("inspect", "aligned+adapter")).toMatchObject({ kind: "adapted", nTensors: 20 });
  });

  test.concurrent("a state and a safetensors file", async () => {
    const parts = { qkv: ["inverse", "ordered", "spectrum"] };
    expect(await json("inspect", "state")).toMatchObject({ kind: "state", parts, nLayers: 2 });
    expect((await run("inspect", "state")).stdout).toContain("mean diagonal");
    const file = await json("inspect", "aligned/model.safetensors");
    expect(file).toMatchObject({ kind: "safetensors", nTensors: 20 });
    expect(file.tensors[0]).toEqual({ name: "model.embed_tokens.weight", dtype: "F32", shape: [202, 24] });
  });

  const gguf = process.env.SAFEDELTA_SMOLLM2_GGUF;
  test.skipIf(!gguf)(`a .gguf file${gguf ? "" : " (skipped: SAFEDELTA_SMOLLM2_GGUF is not set)"}`, async () => {
    expect(await json("inspect", String(gguf))).toMatchObject({ kind: "gguf", config: { nLayers: 30 }, problems: [] });
  });
});

describe("diff and verify", () => {
  test.concurrent("diff names what differs", async () => {
    const found = await json("diff", "aligned", "tuned");
    expect(found).toMatchObject({ nTensors: 20, nChanged: 14 });
    const changed = found.tensors.filter(({ status }: { status: string }) => status === "changed");
    for (const { name } of changed) expect(name).toContain("_proj");
    expect((await run("diff", "aligned", "aligned")).stdout).toBe("0 of 20 tensors differ\n");
    expect(await json("diff", "aligned", "adapter")).toMatchObject({ nChanged: 14 });
  });

  test.concurrent("verify holds, and finds what was changed", async () => {
    await run("apply", ...pair, "--state", "state", "--out", "verified", "--loss", "0.1");
    expect(await json("verify", "verified")).toMatchObject({
      ok: true,
      nTensors: 20,
      inputsChecked: true,
      stateChecked: true,
    });
    await cp(world.at("verified"), world.at("broken"), { recursive: true });
    await cp(world.at("tuned/model.safetensors"), world.at("broken/model.safetensors"));
    const { code, stdout } = await safedelta(world.path, ["verify", "broken"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/problem: model\.layers\.0\.\S+ was changed after it was written/);
    await mkdir(world.at("elsewhere"), { recursive: true });
    const away = await succeed(world.at("elsewhere"), ["verify", "../verified"]);
    expect(away.stdout).toMatch(/0 problems; the input models were not checked \(aligned: /);
  });
});

describe("generate and chat", () => {
  const model = join(tinyFolder, "tuned");
  test.concurrent("an answer, on stdout alone", async () => {
    const args = ["generate", model, "--prompt", "say hello", "--max-new-tokens", "8"];
    const { answer } = await json(...args);
    const { stdout, stderr } = await run(...args);
    expect(stdout).toBe(`${answer}\n`);
    expect(stderr).toMatch(/^engine: .*\n$/);
    expect(
      (await json("generate", model, "--prompt", "say hello", "--raw", "--max-new-tokens", "3")).answer,
    ).toBeString();
  });

  test.concurrent("draws are decided by --seed", async () => {
    const args = ["generate", "aligned", "--prompt", "say hello", "--max-new-tokens", "8", "--temperature", "2"];
    const answers = await Promise.all([json(...args, "--seed", "1"), json(...args, "--seed", "1"), json(...args)]);
    expect(answers[1].answer).toBe(answers[0].answer);
    expect(answers[2].answer).not.toBe(answers[0].answer);
  });

  test.concurrent("chat takes turns from stdin and forgets at /new", async () => {
    const stdin = "say hello\n/new\nsay hello\n\nnever read\n";
    const { stdout, stderr } = await succeed(world.path, ["chat", model, "--max-new-tokens", "8"], { stdin });
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[1]).toBe(lines[0]);
    expect(stderr).toContain("is ready");
    const { messages } = await jsonOf(world.path, ["chat", model, "--max-new-tokens", "8"], { stdin: "say hello\n" });
    expect(messages).toEqual([
      { role: "user", content: "say hello" },
      { role: "assistant", content: lines[0] },
    ]);
  });
});

describe("the machine and the recipes", () => {
  test.concurrent("doctor", async () => {
    const env = { CUDA_VISIBLE_DEVICES: "" }; // where there is a GPU, it is not to be seen
    const { engines, libraries, bun, hubCache } = await jsonOf(world.path, ["doctor"], { env });
    const built = existsSync(join(import.meta.dir, `../../engine/native/libsafedelta_native.${suffix}`));
    expect(engines.map(({ name, usable }: { name: string; usable: boolean }) => [name, usable])).toEqual([
      ["cuda", false],
      ["native", built],
      ["wasm", true],
      ["reference", true],
    ]);
    expect(libraries).toMatchObject([
      { name: "cuda", source: "bun run build:cuda" },
      { name: "native", path: expect.stringContaining("libsafedelta_native"), present: built },
    ]);
    expect(engines[0].detail).toMatch(/^(not built|no NVIDIA|.*no CUDA-capable device)/);
    expect(bun).toBe(Bun.version);
    expect(hubCache).toEndWith("/hub");
  });

  test("doctor --selftest checks every operation and mode of an engine, and times it", async () => {
    const { devices, ok } = await json("doctor", "--selftest", "--engine", "wasm");
    const [{ engine, checks, rates, repairs }] = devices;
    expect(devices).toHaveLength(1);
    expect({ ok, name: engine.name }).toEqual({ ok: true, name: "wasm" });
    expect(checks.length).toBeGreaterThan(100);
    expect(rates.every(({ ms, rate }: { ms: number; rate: number }) => ms > 0 && rate > 0)).toBe(true);
    expect(repairs.map(({ mode }: { mode: string }) => mode)).toEqual([
      "reference",
      "none",
      "paper",
      "exact",
      "optimal",
      "optimal",
    ]);
  });

  test.concurrent("estimate reads no weights", async () => {
    const { prepare, apply } = await json("estimate", "aligned", "--samples", "20", "--tokens", "20");
    expect(apply.outputBytes).toBe(Bun.file(world.at("aligned/model.safetensors")).size - (await headerBytes()));
    expect(prepare.stateBytes).toBeGreaterThan(0);
    expect((await run("estimate", "aligned")).stdout).toMatch(/prepare: .* TFLOP, about .*\napply: {3}.* on disk/);
  });

  test.concurrent("estimate needs no weights at all, here and on the Hub", async () => {
    const args = ["--samples", "20", "--tokens", "20"];
    const whole = await json("estimate", "aligned", ...args);
    await cp(world.at("aligned/config.json"), world.at("described/config.json"));
    expect(await json("estimate", "described", ...args)).toEqual({ ...whole, model: "described" });
    const config = new Uint8Array(await Bun.file(world.at("aligned/config.json")).arrayBuffer());
    using hub = new FakeHub(
      "org/described",
      "0123456789abcdef0123456789abcdef01234567",
      new Map([["config.json", config]]),
    );
    const env = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: world.at("described-cache"), HF_HUB_OFFLINE: "" };
    expect(await jsonOf(world.path, ["estimate", "org/described", ...args], { env })).toEqual({
      ...whole,
      model: "org/described",
    });
    await Bun.write(
      world.at("nine-bits/config.json"),
      JSON.stringify({ ...JSON.parse(new TextDecoder().decode(config)), torch_dtype: "float9" }),
    );
    const wrong = await safedelta(world.path, ["estimate", "nine-bits"]);
    expect({ code: wrong.code, stderr: wrong.stderr }).toEqual({
      code: 4,
      stderr: expect.stringContaining('torch_dtype is "float9"; known are float32'),
    });
  });

  test.concurrent("the span of an estimate is that of its stages", async () => {
    const { prepare, stages } = await json("estimate", "aligned", "--device", "h100");
    const seconds = stages
      .filter(({ job }: { job: string }) => job === "prepare")
      .map((one: { seconds: number }) => one.seconds);
    expect(prepare.seconds).toBeCloseTo(
      seconds.reduce((sum: number, one: number) => sum + one, 0),
      12,
    );
  });

  test.concurrent("estimate divides the work among GPUs alone", async () => {
    const secondsOf = async (...devices: string[]) => {
      const { stages } = await json("estimate", "aligned", "--device", "h100", ...devices);
      return stages.find(({ stage }: { stage: string }) => stage === "forward pass").seconds;
    };
    expect(await secondsOf("--devices", "4")).toBe((await secondsOf()) / 4);
    const { code, stderr } = await safedelta(world.path, ["estimate", "aligned", "--device", "cpu", "--devices", "2"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("--devices 2: only GPUs share") });
  });

  test.concurrent("schema describes the keys of every command", async () => {
    const all = JSON.parse((await run("schema")).stdout);
    expect(Object.keys(all)).toContain("apply");
    const apply = JSON.parse((await run("schema", "apply")).stdout);
    expect(apply).toMatchObject({ type: "object", additionalProperties: false });
    expect(apply.properties["global-loss"].description).toContain("one pool");
    expect(apply.properties.mode.enum).toEqual(["optimal", "exact", "reference", "paper", "none"]);
    const keys = new Set(Object.values<object>(apply.properties).flatMap(Object.keys));
    expect([...keys].filter((key) => !schemaKeys.has(key))).toEqual([]);
  });
});

/** What JSON Schema knows: nothing of the options' own marks is to reach it. */
const schemaKeys = new Set(["type", "description", "default", "enum", "anyOf", "minimum", "maximum", "const"]);

/** Bytes before the tensors of a safetensors file. */
async function headerBytes(): Promise<number> {
  const head = await Bun.file(world.at("aligned/model.safetensors")).slice(0, 8).arrayBuffer();
  return 8 + Number(new DataView(head).getBigUint64(0, true));
}
