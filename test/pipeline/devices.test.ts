import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Engine, type Matrix, openEngine } from "@safedelta/engine";
import { type PrepareOptions, type Progress, prepare, silent } from "@safedelta/pipeline";
import { folderHashes, scratchFolder } from "../support/pico.ts";
import { Interruption, interruptAt, prepareOptions, safeData, writePair } from "./job.ts";

/** Examples that fill three batches. */
const data = { ...safeData, samples: 60 };

/** An engine with peers, as one of several devices is; `hears` gets the device of each call. */
async function openDevices(n: number, hears: (device: number, call: string) => void = () => {}): Promise<Engine> {
  const engines = await Promise.all(Array.from({ length: n }, async () => (await openEngine("wasm")).engine));
  const [first, ...peers] = engines.map((engine, device) => heard(engine, (call) => hears(device, call)));
  const info = { ...first.info, description: `${n} devices, each ${first.info.description}` };
  return new Proxy(first, {
    get: (engine, key) => (key === "peers" ? peers : key === "info" ? info : Reflect.get(engine, key)),
  });
}

function heard(engine: Engine, hears: (call: string) => void): Engine {
  return new Proxy(engine, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        hears(String(key));
        return value.apply(target, args);
      };
    },
  });
}

async function prepareOn(n: number, options: PrepareOptions, progress: Progress = silent) {
  using engine = await openDevices(n);
  return await prepare(engine, options, progress);
}

describe("prepare on several devices", () => {
  test("gives the factors of one device but for rounding, and the same bytes again after an interruption at any step", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const options = (name: string) => prepareOptions(aligned, join(scratch.path, name), { data });
    using engine = (await openEngine("wasm")).engine;
    const factor = async (n: number, name = `of-${n}`) => {
      const state = await prepareOn(n, options(name));
      using group = await state.load(engine, 1, "down", "exact");
      return engine.read(group.ordered?.r as Matrix) as Float32Array;
    };
    const one = await factor(1);
    for (const n of [2, 3]) {
      const several = await factor(n);
      const scale = one.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const furthest = one.reduce((most, value, i) => Math.max(most, Math.abs(value - several[i])), 0);
      expect(furthest / scale).toBeGreaterThan(0); // other sums were taken
      expect(furthest / scale).toBeLessThan(1e-5);
      const expected = await folderHashes(join(scratch.path, `of-${n}`));
      for (let step = 1, cut = true; cut; step++) {
        const again = options(`cut-${n}-${step}`);
        cut = await prepareOn(n, again, interruptAt(step)).then(
          () => false,
          (error) => {
            if (error instanceof Interruption) return true;
            throw error;
          },
        );
        await prepareOn(n, again);
        expect(await folderHashes(again.out)).toEqual(expected);
      }
    }
  });

  test("an interrupted run does not go on with another number of devices", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const options = prepareOptions(aligned, join(scratch.path, "state"), { data });
    await expect(prepareOn(2, options, interruptAt(4))).rejects.toThrow(Interruption);
    for (const n of [1, 3]) await expect(prepareOn(n, options)).rejects.toThrow(/unfinished state of another prepare/);
  });

  test("every device has its batch before the host waits for the first", async () => {
    await using scratch = await scratchFolder();
    const { aligned } = await writePair(scratch.path);
    const calls: string[] = [];
    using engine = await openDevices(2, (device, call) => {
      if (call === "attention" || call === "read") calls.push(`${call} ${device}`);
    });
    await prepare(engine, prepareOptions(aligned, join(scratch.path, "state"), { data }), silent);
    const from = calls.findIndex((call) => call.startsWith("attention"));
    const order = calls.slice(from).filter((call, i, all) => call !== all[i - 1]);
    expect(order.slice(0, 5)).toEqual(["attention 0", "attention 1", "read 0", "attention 0", "read 1"]);
  });
});
