import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { goOn, killedBeforeItsEnd } from "../cli/kill.ts";
import { jsonOf, safedelta, succeed } from "../cli/run.ts";
import { valuesOf, writeAdapter } from "../cli/world.ts";
import { writePair } from "../pipeline/job.ts";
import { scratchFolder, tinyFolder, writePico } from "../support/pico.ts";
import { built, missing } from "./build.ts";
import { surroundings } from "./run.ts";

setDefaultTimeout(300_000); // the libraries are built first

/** Examples of three batches. */
const draw = ["--samples", "60", "--max-tokens", "48"];
const data = ["--safe-data", join(tinyFolder, "safe.jsonl"), "--system-prompts", "none", ...draw];
const task = ["--task-data", join(tinyFolder, "task.jsonl"), ...draw];

/** Room for the buffers that an engine opens with, and for no matrix of a linear. */
const littleMemory = String(2 * 4 * 2 ** 24 + 2000);

/** Most that other sums over the examples may move a weight by, as a share of the largest. */
const bound = 2e-4;

describe.skipIf(missing !== undefined)("several devices", () => {
  let scratch: Awaited<ReturnType<typeof scratchFolder>>;
  let libraries: string;

  const at = (...names: string[]) => join(scratch.path, ...names);
  const on = (devices: number, more: Record<string, string> = {}) => ({
    env: { ...surroundings(libraries, { order: "forward", devices }), ...more },
  });
  const prepare = (out: string, modes = "exact") => {
    return ["prepare", "aligned", ...data, "--modes", modes, "--out", out, "--engine", "cuda"];
  };
  const models = ["--aligned", "aligned", "--tuned", "tuned"];
  const apply = (state: string, out: string, ...how: string[]) => {
    const places = ["--state", state, "--out", out, "--engine", "cuda"];
    return ["apply", ...models, ...places, ...(how.length > 0 ? how : ["--mode", "exact", "--loss", "0.1"])];
  };
  const bytesOf = (folder: string) => Bun.file(at(folder, "model.safetensors")).bytes();

  beforeAll(async () => {
    [scratch, libraries] = [await scratchFolder(), await built("plain")];
    await writePair(scratch.path);
    await succeed(scratch.path, prepare("state-1", "reference,exact,optimal"), on(1));
    for (const n of [2, 3]) await succeed(scratch.path, prepare(`state-${n}`), on(n));
    for (const n of [1, 2, 3]) await succeed(scratch.path, apply("state-1", `exact-${n}`), on(n));
  });
  afterAll(() => scratch[Symbol.asyncDispose]());

  test("a self-test opens each by its own number, alone", async () => {
    const script = `
      import { devicesOf } from "./engine/src/index.ts";
      const opened = [];
      for (const { device, open } of await devicesOf("cuda")) {
        using engine = await open();
        opened.push([device, engine.info.description.split(",")[0], engine.peers.length]);
      }
      console.log(JSON.stringify(opened));`;
    const opened = async (env: Record<string, string>) => {
      const cwd = join(import.meta.dir, "../..");
      const child = Bun.spawn([process.execPath, "-e", script], { cwd, env: { ...process.env, ...on(3, env).env } });
      return JSON.parse(await new Response(child.stdout).text());
    };
    const name = "stand-in for a GPU (sm_80)";
    expect(await opened({})).toEqual([0, 1, 2].map((device) => [device, name, 0]));
    const uneven = { SAFEDELTA_CUDA_DEVICE: "2", SAFEDELTA_STANDIN_SM_2: "86" };
    expect(await opened(uneven)).toEqual([[2, "stand-in for a GPU (sm_86)", 0]]);
  });

  test("apply gives the same bytes and numbers on any number of them, which it tells", async () => {
    const saved = async (n: number) => Bun.file(at(`exact-${n}`, "safedelta.json")).json();
    const one = await saved(1);
    for (const n of [2, 3]) {
      expect(await bytesOf(`exact-${n}`)).toEqual(await bytesOf("exact-1"));
      const { layers, tensors, engine } = await saved(n);
      expect({ layers, tensors }).toEqual({ layers: one.layers, tensors: one.tensors });
      expect(engine.description).toStartWith(`${n} devices, each stand-in for a GPU`);
    }
  });

  test("a worker opens an adapter on the aligned model as the run does", async () => {
    await writeAdapter(at("adapter"), at("aligned"));
    for (const n of [1, 2]) {
      const words = apply("state-1", `adapted-${n}`).map((word) => (word === "tuned" ? "adapter" : word));
      await succeed(scratch.path, words, on(n));
    }
    expect(await bytesOf("adapted-2")).toEqual(await bytesOf("adapted-1"));
  });

  test("a rival gives the same bytes on any number of them, by a third model and by masks", async () => {
    await writePico(at("base"), { seed: 1, delta: { seed: 3, size: 0.03 } });
    const projected = ["--method", "safe-lora", "--unaligned", "base", "--project-linears", "5"];
    const masked = ["--method", "random-mask", "--keep", "0.5"];
    for (const n of [1, 3]) {
      await succeed(scratch.path, apply("state-1", `projected-${n}`, ...projected), on(n));
      await succeed(scratch.path, apply("state-1", `masked-${n}`, ...masked), on(n));
    }
    expect(await bytesOf("projected-3")).toEqual(await bytesOf("projected-1"));
    expect(await bytesOf("masked-3")).toEqual(await bytesOf("masked-1"));
    expect(await jsonOf(scratch.path, ["verify", "projected-1", "--engine", "cuda"], on(3))).toMatchObject({
      ok: true,
    });
  });

  test("a pooled budget and a sweep give the same, and verify finds every number again", async () => {
    const pooled = (n: number) => apply("state-1", `pooled-${n}`, "--mode", "optimal", "--global-loss", "0.1");
    const budgets = ["--loss", "0.03", "--global-loss", "0.1", "--scale", "0.1"];
    const sweep = ["sweep", ...models, "--state", "state-1", ...budgets, "--linears", "--engine", "cuda"];
    const swept = [];
    for (const n of [1, 3]) {
      await succeed(scratch.path, pooled(n), on(n));
      const { peakMemoryBytes, ...points } = await jsonOf(scratch.path, sweep, on(n));
      swept.push(points);
    }
    expect(await bytesOf("pooled-3")).toEqual(await bytesOf("pooled-1"));
    expect(swept[1]).toEqual(swept[0]);
    const { ok, nNumbers } = await jsonOf(scratch.path, ["verify", "exact-1", "--engine", "cuda"], on(3));
    expect(ok).toBe(true);
    expect(nNumbers).toBeGreaterThan(100);
  });

  test("states and task statistics of several are those of one but for rounding: the same entries are kept", async () => {
    const [before, after] = [await valuesOf(at("aligned")), await valuesOf(at("tuned"))];
    const optimal = ["--mode", "optimal", "--loss", "0.1", ...task];
    await succeed(scratch.path, apply("state-1", "task-1", ...optimal), on(1));
    const one = { exact: await valuesOf(at("exact-1")), task: await valuesOf(at("task-1")) };
    for (const n of [2, 3]) {
      await succeed(scratch.path, apply(`state-${n}`, `exact-of-${n}`), on(1));
      await succeed(scratch.path, apply("state-1", `task-${n}`, ...optimal), on(n));
      const several = { exact: await valuesOf(at(`exact-of-${n}`)), task: await valuesOf(at(`task-${n}`)) };
      for (const how of ["exact", "task"] as const) {
        for (const [tensor, values] of one[how]) {
          const other = several[how].get(tensor) as Float32Array;
          expect(largestOf(values.map((value, i) => value - other[i]))).toBeLessThanOrEqual(bound * largestOf(values));
          if (how === "task" || largestOf(differenceOf(before, after, tensor)) === 0) continue;
          const kept = (of: Float32Array) => of.map((value, i) => Number(value === after.get(tensor)?.[i]));
          expect(kept(other)).toEqual(kept(values));
        }
      }
    }
  });

  test("a run that was killed goes on with another number of them", async () => {
    for (const [n, changes] of [
      [3, 24],
      [2, 12],
    ]) {
      const out = `killed-${n}`;
      await killedBeforeItsEnd(scratch.path, changes, "SIGKILL", apply("state-1", out), at(out), on(n));
      await goOn(scratch.path, apply("state-1", out), on(4 - n));
      expect(await bytesOf(out)).toEqual(await bytesOf("exact-1"));
    }
  });

  test("a device without room ends the run and is named; what others finished stays", async () => {
    const short = on(3, { SAFEDELTA_STANDIN_BYTES_1: littleMemory });
    for (const command of [apply("state-1", "short"), prepare("short-state")]) {
      const { code, stderr } = await safedelta(scratch.path, command, short);
      expect(code).toBe(5);
      expect(stderr).toMatch(/alloc: no room for \d+ bytes on device 1/);
    }
    await succeed(scratch.path, apply("state-1", "short"), on(1));
    expect(await bytesOf("short")).toEqual(await bytesOf("exact-1"));
  });

  test("what a worker finds wrong in a file is told as one device tells it", async () => {
    await Bun.$`cp -r ${at("state-1")} ${at("damaged")}`;
    const piece = at("damaged/layers/001/down.safetensors");
    const bytes = await Bun.file(piece).bytes();
    for (let i = bytes.length >> 2; i < bytes.length; i += 100) bytes[i] ^= 1;
    await Bun.write(piece, bytes);
    const [one, several] = await Promise.all(
      [1, 3].map((n) => safedelta(scratch.path, apply("damaged", `of-damaged-${n}`), on(n))),
    );
    const error = ({ code, stderr }: typeof one) => ({ code, said: stderr.split("error: ")[1] });
    expect(error(several)).toEqual(error(one));
    expect(error(one).code).toBe(4);
  });
});

function largestOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

function differenceOf(a: Map<string, Float32Array>, b: Map<string, Float32Array>, name: string): Float32Array {
  return (a.get(name) as Float32Array).map((value, i) => value - (b.get(name)?.[i] ?? 0));
}
