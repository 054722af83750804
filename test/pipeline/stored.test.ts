import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import {
  decodeF32,
  encode,
  openCheckpoint,
  openSafetensors,
  type Tensor,
  writeSafetensors,
} from "@safedelta/checkpoint";
import { openEngine } from "@safedelta/engine";
import { type LayerOptions, type PrepareOptions, planPrepare, repairLayerFile, silent } from "@safedelta/pipeline";
import { scratchFolder, writePico } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import { applyOptions, prepareOptions, runApply, runPlan, runPrepare, writePair } from "./job.ts";

/** Repair a file of tensors and read what was written. */
async function repairLayer(tensors: readonly Tensor[], options: Partial<LayerOptions>) {
  await using scratch = await scratchFolder();
  const [input, out] = [join(scratch.path, "in.safetensors"), join(scratch.path, "out.safetensors")];
  await writeSafetensors(input, [...tensors]);
  using engine = (await openEngine("wasm")).engine;
  const budget = { kind: "scale", value: 1e4 } as const;
  const facts = await repairLayerFile(engine, { input, out, mode: "reference", budget, overwrite: false, ...options });
  const file = await openSafetensors(out);
  const [weight, kept] = [await file.read("weight"), await file.read("kept")];
  await file.close();
  return { facts, weight: decodeF32(weight), mask: kept.bytes };
}

const exotic = { F64: (x: Float32Array) => encode(x, "F64"), F8_E5M2: (x: Float32Array) => new Uint8Array(x.length) };
type Exotic = keyof typeof exotic;

describe("types that a repair cannot be written in", () => {
  const restype = (dtype: Exotic, which: RegExp) => (tensors: Map<string, Tensor>) => {
    for (const [name, tensor] of tensors) {
      if (which.test(name)) tensors.set(name, { ...tensor, dtype, bytes: exotic[dtype](decodeF32(tensor)) });
    }
  };

  test.each([
    ["F8_E5M2", /_proj/, "q_proj.weight"],
    ["F64", /_proj/, "q_proj.weight"],
    ["F8_E5M2", /embed/, "model.embed_tokens.weight"],
  ] as const)("an aligned model with %s in %p: prepare refuses, and so does its plan", async (dtype, which, name) => {
    await using scratch = await scratchFolder();
    const change = restype(dtype, which);
    const aligned = await writePico(join(scratch.path, "aligned"), { seed: 1, change });
    const state = join(scratch.path, "state");
    const refusal = { kind: "incompatible", message: expect.stringContaining(`${name} is stored as ${dtype}`) };
    using engine = (await openEngine("wasm")).engine;
    for (const run of [runPrepare, (options: PrepareOptions) => planPrepare(engine, options, silent)]) {
      const refused = run(prepareOptions(aligned, state)).catch((error) => error);
      expect(await refused).toMatchObject(refusal);
    }
    expect(await Bun.file(join(state, "state.json")).exists()).toBe(false);
  });

  test.each(["aligned", "tuned"] as const)("the %s model of a pair: the dry run refuses", async (which) => {
    await using scratch = await scratchFolder();
    const pair = await writePair(scratch.path);
    const state = join(scratch.path, "state");
    await runPrepare(prepareOptions(pair.aligned, state, { modes: ["optimal"] }));
    await writePico(pair[which], { seed: 1, change: restype("F64", /layers\.1\..*down_proj/) });
    const options = applyOptions(pair, state, join(scratch.path, "out"));
    const refused = await runPlan(options).catch((error) => error);
    expect(refused).toMatchObject({ kind: "incompatible", message: expect.stringMatching(/down_proj.* as F64/) });
  });

  const tensor = (name: string, shape: number[], dtype: Exotic | "F32" = "F32"): Tensor => {
    const values = new Random(shape[0]).normals(shape[0] * shape[1]);
    return { name, dtype, shape, bytes: dtype === "F32" ? encode(values, dtype) : exotic[dtype](values) };
  };
  const x = tensor("x0", [9, 4]);

  test.each([
    ["aligned", "F64", undefined, /aligned is stored as F64, and repairs are computed in F32/],
    ["aligned", "F64", "F32", /aligned is stored as F64, and repairs are computed in F32/],
    ["tuned", "F64", undefined, /tuned is stored as F64, and repairs are computed in F32/],
    ["aligned", "F8_E5M2", undefined, /aligned is stored as F8_E5M2; a repair is written as F32, F16, BF16/],
  ] as const)("layer refuses %s in %s, --dtype %p", async (name, dtype, out, words) => {
    const other = name === "aligned" ? "tuned" : "aligned";
    const tensors = [tensor(name, [3, 4], dtype), tensor(other, [3, 4]), x];
    await expect(repairLayer(tensors, { dtype: out })).rejects.toThrow(words);
  });

  test("layer writes an aligned weight in FP8 as --dtype says", async () => {
    const tensors = [tensor("aligned", [3, 4], "F8_E5M2"), tensor("tuned", [3, 4]), x];
    const { weight } = await repairLayer(tensors, { dtype: "BF16", budget: { kind: "scale", value: 0 } });
    expect(weight).toEqual(new Float32Array(12));
  });
});

describe("kept entries of a tuned model in a wider type", () => {
  const [rows, cols] = [5, 12];
  const random = new Random(8);
  const f32 = (name: string, shape: number[], values: Float32Array): Tensor => {
    return { name, dtype: "F32", shape, bytes: encode(values, "F32") };
  };
  const aligned: Tensor = {
    ...f32("aligned", [rows, cols], new Float32Array()),
    ...{ dtype: "BF16", bytes: encode(random.normals(rows * cols), "BF16") },
  };
  const held = (value: number, i: number) => (i % 3 === 0 ? Math.round(value) : value); // every third fits bf16
  const tuned = f32("tuned", [rows, cols], random.normals(rows * cols).map(held));
  const x = f32("x0", [30, cols], random.normals(30 * cols));

  test.each([
    ["reference", { kind: "scale", value: 1e4 }],
    ["exact", { kind: "keep", share: 1 }],
    ["optimal", { kind: "strength", value: 0 }],
  ] as const)("layer, %s: the mask and its share hold in the written bits", async (mode, budget) => {
    const wanted = decodeF32(tuned);
    const { facts, weight, mask } = await repairLayer([aligned, tuned, x], { mode, budget });
    const nHeld = mask.filter((bit) => bit === 1).length;
    expect(mask.every((bit, i) => bit === 0 || Object.is(weight[i], wanted[i]))).toBe(true);
    expect(facts.keptShare).toBe(nHeld / mask.length);
    expect(nHeld).toBeGreaterThan(0);
    const wide = await repairLayer([aligned, tuned, x], { mode, budget, dtype: "F32" });
    expect(wide.mask.every((bit, i) => bit === 0 || Object.is(wide.weight[i], wanted[i]))).toBe(true);
    expect(wide.facts.keptShare).toBeGreaterThan(facts.keptShare);
  });

  test("apply counts what holds in the files", async () => {
    await using scratch = await scratchFolder();
    const aligned = await writePico(join(scratch.path, "aligned"), { seed: 1, dtype: "BF16" });
    const tuned = await writePico(join(scratch.path, "tuned"), { seed: 1, delta: { seed: 2, size: 0.02 } });
    const [state, out] = [join(scratch.path, "state"), join(scratch.path, "out")];
    await runPrepare(prepareOptions(aligned, state, { modes: ["exact"] }));
    const method = { mode: "exact", budget: { kind: "keep", share: 1 } } as const;
    const facts = await runApply(applyOptions({ aligned, tuned }, state, out, method));
    const [source, result] = [await openCheckpoint(tuned), await openCheckpoint(out)];
    for (const { name, keptShare } of facts.layers.flatMap(({ linears }) => linears)) {
      const [wanted, found] = [decodeF32(await source.read(name)), decodeF32(await result.read(name))];
      const nHeld = found.filter((value, i) => Object.is(value, wanted[i])).length;
      expect({ name, keptShare }).toEqual({ name, keptShare: nHeld / found.length });
      expect(keptShare).toBeLessThan(0.1);
    }
    await source.close();
    await result.close();
  });
});
