import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { decodeF32 } from "@safedelta/checkpoint";
import { type Engine, openEngine } from "@safedelta/engine";
import { ModelError, openWorkspace, packSegments, parseConfig, type Segment, workspaceBytes } from "@safedelta/model";
import fc from "fast-check";
import { openLayer, passCached, passPacked } from "./layer.ts";
import {
  engineNames,
  f32Bytes,
  families,
  fixture,
  fixtureConfig,
  largestDifference,
  withCheckpoint,
} from "./support.ts";

/** Layer outputs here are below 10; what sums up in another order differs by some roundings of f32. */
const tolerance = 1e-5;

const tokens = fc.array(fc.integer({ min: 0, max: 39 }), { minLength: 1, maxLength: 9 });
const property = { seed: 20251205, numRuns: 12 };

/** Plain f64 arithmetic on one token's numbers. */
const plain = {
  rmsNorm(x: Float64Array, weight: Float32Array, eps: number): Float64Array {
    const meanSquare = x.reduce((sum, value) => sum + value * value, 0) / x.length;
    return x.map((value, i) => (value / Math.sqrt(meanSquare + eps)) * weight[i]);
  },
  linear(x: Float64Array, weight: Float32Array, bias: Float32Array): Float64Array {
    const rows = Array.from(bias, (_, row) => weight.subarray(row * x.length, (row + 1) * x.length));
    return Float64Array.from(rows, (row, i) => x.reduce((sum, value, j) => sum + value * row[j], bias[i]));
  },
  silu: (x: number) => x / (1 + Math.exp(-x)),
};

/** What enters each group of llama's layer 0 when the sequence is a single token: attention then gives the value itself. */
async function byHand(id: number): Promise<Record<string, Float64Array>> {
  return withCheckpoint(fixture("llama"), async (checkpoint) => {
    const read = async (name: string) => decodeF32(await checkpoint.read(name));
    const layer = (name: string) => read(`model.layers.0.${name}`);
    const linear = async (x: Float64Array, name: string) =>
      plain.linear(x, await layer(`${name}.weight`), await layer(`${name}.bias`));
    const x = Float64Array.from((await read("model.embed_tokens.weight")).subarray(32 * id, 32 * id + 32));
    const qkv = plain.rmsNorm(x, await layer("input_layernorm.weight"), 1e-5);
    const value = await linear(qkv, "self_attn.v_proj");
    // Heads 0 and 1 share key/value head 0, heads 2 and 3 share 1; a head has 8 numbers.
    const o = Float64Array.from({ length: 32 }, (_, i) => value[8 * Math.floor(i / 16) + (i % 8)]);
    const attended = await linear(o, "self_attn.o_proj");
    const gateUp = plain.rmsNorm(
      x.map((number, i) => number + attended[i]),
      await layer("post_attention_layernorm.weight"),
      1e-5,
    );
    const up = await linear(gateUp, "mlp.up_proj");
    const down = (await linear(gateUp, "mlp.gate_proj")).map((gate, i) => plain.silu(gate) * up[i]);
    return { qkv, o, gateUp, down };
  });
}

describe.each(engineNames)("on %s", (engineName) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = (await openEngine(engineName)).engine;
  });
  afterAll(() => engine[Symbol.dispose]());

  test("the tap sees what enters each group, in forward order", async () => {
    using trial = await openLayer(engine, "llama");
    const { activations } = await passPacked(trial, [[7]]);
    expect([...activations.keys()]).toEqual(["qkv", "o", "gateUp", "down"]);
    for (const [group, expected] of Object.entries(await byHand(7))) {
      expect(largestDifference(activations.get(group as "qkv") ?? [], expected)).toBeLessThan(tolerance);
    }
  });

  test.each(families)("%s: packed sequences do not see each other, and give the same Hessians", async (family) => {
    using trial = await openLayer(engine, family);
    const run = async (sequences: number[][]) => {
      const packed = await passPacked(trial, sequences);
      const alone = await Promise.all(sequences.map((sequence) => passPacked(trial, [sequence])));
      const outputs = alone.flatMap(({ output }) => [...output]);
      expect(largestDifference(packed.output, outputs)).toBeLessThan(tolerance);
      for (const [group, hessian] of packed.hessians) {
        const sum = hessian.map((_, at) =>
          alone.reduce((total, one) => total + (one.hessians.get(group)?.[at] ?? Number.NaN), 0),
        );
        const scale = Math.max(...hessian.map(Math.abs));
        expect(largestDifference(hessian, sum)).toBeLessThan(tolerance * scale);
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(tokens, { minLength: 1, maxLength: 4 }), run), property);
  });

  test.each(families)("%s: a cache filled in pieces gives what one pass gives", async (family) => {
    using trial = await openLayer(engine, family);
    const { nKvHeads, headDim } = trial.config;
    const run = async (first: number[], second: number[], piece: number) => {
      using cache = engine.alloc(first.length + second.length + 1, 2 * nKvHeads * headDim);
      engine.fill(cache, Number.NaN);
      const whole = await passPacked(trial, [first, second]);
      const sequences = [
        { ids: first, cacheRow: second.length + 1, output: [] as number[] },
        { ids: second, cacheRow: 0, output: [] as number[] },
      ];
      for (let past = 0; sequences.some(({ ids }) => past < ids.length); past += piece) {
        const open = sequences.filter(({ ids }) => past < ids.length);
        const ids = open.map((sequence) => sequence.ids.slice(past, past + piece));
        const segments = packSegments(ids.map(({ length }) => length)).map(
          (segment, i): Segment => ({ ...segment, past, cacheRow: open[i].cacheRow }),
        );
        const output = await passCached(trial, ids.flat(), segments, cache);
        segments.forEach(({ start, length }, i) => {
          open[i].output.push(...output.subarray(32 * start, 32 * (start + length)));
        });
      }
      const pieced = sequences.flatMap(({ output }) => output);
      // Products of few rows add up in another order than those of many: rounding grows with the numbers.
      const size = Math.max(...Array.from(whole.output, Math.abs));
      expect(largestDifference(whole.output, pieced) / size).toBeLessThan(tolerance / 4);
    };
    await fc.assert(fc.asyncProperty(tokens, tokens, fc.integer({ min: 1, max: 4 }), run), property);
  });

  test("a layer pass takes no memory beyond workspace and input, and gives all back", async () => {
    const start = f32Bytes(engine);
    {
      using trial = await openLayer(engine, "gemma");
      await passPacked(trial, [[1, 2, 3]]);
    }
    expect(f32Bytes(engine)).toBe(start);
    const config = parseConfig(fixtureConfig("gemma"));
    using workspace = openWorkspace(engine, config, 11);
    expect(f32Bytes(engine) - start).toBe(workspaceBytes(config, workspace.capacity));
  });

  test("segments that leave gaps, overlap or overflow, and a past without a cache, are refused", async () => {
    using trial = await openLayer(engine, "llama");
    using workspace = openWorkspace(engine, trial.config, 4);
    const bad: Segment[][] = [
      [{ start: 1, length: 2, past: 0 }],
      [
        { start: 0, length: 2, past: 0 },
        { start: 1, length: 2, past: 0 },
      ],
      [{ start: 0, length: 0, past: 0 }],
      [{ start: 0, length: 1, past: -1 }],
      packSegments([2, 3]),
    ];
    for (const segments of bad) expect(() => workspace.batch(segments)).toThrow(ModelError);
    expect(passCached(trial, [1], [{ start: 0, length: 1, past: 2 }], undefined)).rejects.toThrow("no cache");
  });
});
