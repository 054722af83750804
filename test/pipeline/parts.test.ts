import { expect, test } from "bun:test";
import { estimateModel, hessianGroups, modesOf, optimalPart, partWords, planParts } from "@safedelta/pipeline";
import { llama7b, llama7bTensors } from "./llama7b.ts";

test("optimal keeps spectra up to a width that the engine sets, and Hessians beyond it", () => {
  for (const [engine, widest] of [
    ["cuda", 512],
    ["native", 8192],
    ["wasm", 8192],
  ] as const) {
    expect([1, widest, widest + 1, 50_000].map((cols) => optimalPart(engine, cols))).toEqual([
      ...["spectrum", "spectrum", "hessian", "hessian"],
    ] as ReturnType<typeof optimalPart>[]);
  }
});

test("of Llama-2-7B all groups are served by Cholesky on CUDA, the widest one elsewhere", () => {
  const all = ["reference", "exact", "optimal"] as const;
  const [there, here] = (["cuda", "wasm"] as const).map((engine) => planParts(llama7b, all, engine));
  expect(hessianGroups(there)).toEqual(["qkv", "o", "gateUp", "down"]);
  expect(hessianGroups(here)).toEqual(["down"]);
  expect(here).toMatchObject({ o: ["inverse", "ordered", "spectrum"], down: ["hessian", "inverse", "ordered"] });
  for (const parts of [there, here]) expect(modesOf(parts)).toEqual(["reference", "none", "paper", "exact", "optimal"]);
  expect(partWords(planParts(llama7b, ["optimal"], "native"))).toBe("optimal (down by Cholesky)");
  expect(partWords(planParts(llama7b, ["exact"], "cuda"))).toBe("exact");
});

test("a mode is served only where every group has something for it", () => {
  const parts = planParts(llama7b, ["exact", "optimal"], "wasm");
  expect(modesOf({ ...parts, o: ["ordered"] })).toEqual(["exact"]);
});

test("prepare for optimal at the width of Llama-2-7B fits WebAssembly's 4 GiB by Cholesky alone", () => {
  const memoryBy = (optimal?: () => "spectrum") => {
    const parts = planParts(llama7b, ["optimal"], "wasm", optimal);
    return estimateModel(llama7b, llama7bTensors, parts, 65536).prepare.memoryBytes;
  };
  expect(memoryBy()).toBeLessThan(2 ** 32);
  expect(memoryBy(() => "spectrum")).toBeGreaterThan(2 ** 32);
});
