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
import { type LayerOptions, repairLayerFile } from "@safedelta/pipeline";
import { scratchFolder, writePico } from "../support/pico.ts";
import { Random } from "../support/random.ts";
import { applyOptions, prepareOptions, runApply, runPrepare } from "./job.ts";

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
