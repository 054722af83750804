import { expect, test } from "bun:test";
import { devicesHere, planParts, roofline } from "@safedelta/pipeline";
import { llama7b, llama7bTensors as tensors } from "./llama7b.ts";

test("the work of Llama-2-7B is what its shapes give", () => {
  const [a100] = devicesHere(2);
  const stages = roofline(a100, llama7b, tensors, 128 * 512, planParts(llama7b, ["reference"], "cuda"));
  const of = (stage: string) => stages.find((one) => one.stage === stage);
  // 6.476e9 weights in linears; four groups a layer, three of 4096 and one of 11008 inputs
  expect(of("forward pass")?.flop).toBeCloseTo(2 * 6476005376 * 65536, -6);
  expect(of("Hessians")?.flop).toBe(65536 * 32 * (3 * 4096 ** 2 + 11008 ** 2));
  expect(of("factors for reference")?.flop).toBeCloseTo((2 / 3) * 32 * (3 * 4096 ** 3 + 11008 ** 3), -6);
  expect(of("read the model")?.bytes).toBe(2 * 6738415616);
  expect(stages.every(({ seconds }) => seconds > 0 && Number.isFinite(seconds))).toBe(true);
});

test("a faster device takes no stage longer", () => {
  const [a100, h100] = devicesHere(2).map((device) =>
    roofline(device, llama7b, tensors, 65536, planParts(llama7b, ["reference", "optimal"], device.engine)),
  );
  for (const [i, { seconds }] of h100.entries()) expect(seconds).toBeLessThanOrEqual(a100[i].seconds);
});

test("several devices divide what they share, and nothing else", () => {
  const [a100] = devicesHere(2);
  const parts = planParts(llama7b, ["reference", "optimal"], "cuda");
  const [one, four] = [1, 4].map((nDevices) => roofline(a100, llama7b, tensors, 65536, parts, nDevices));
  const shared = ["forward pass", "Hessians", "repair", "Cholesky for each λ"];
  for (const [i, { stage, seconds, flop }] of four.entries()) {
    expect({ stage, seconds }).toEqual({ stage, seconds: one[i].seconds / (shared.includes(stage) ? 4 : 1) });
    expect(flop).toBe(one[i].flop);
  }
  expect(four.map(({ stage }) => stage)).toEqual(expect.arrayContaining(shared));
});

test("an A100 spends less on optimal by Cholesky than by eigendecomposition, and nothing on the latter", () => {
  const [a100] = devicesHere(2);
  const secondsOf = (optimal?: () => "spectrum") => {
    const stages = roofline(a100, llama7b, tensors, 65536, planParts(llama7b, ["optimal"], "cuda", optimal));
    return { stages, seconds: stages.reduce((sum, { seconds }) => sum + seconds, 0) };
  };
  const [chosen, byEigh] = [secondsOf(), secondsOf(() => "spectrum")];
  const names = chosen.stages.map(({ stage }) => stage);
  expect(names).toContain("factors for optimal by Cholesky");
  expect(names).not.toContain("factors for optimal");
  // three groups of 4096 inputs with three, one and two linears, one of 11008 with one; each a root, and five λ a linear
  const cubes = 32 * (4096 ** 3 * (3 + 5 * 6) + 11008 ** 3 * (1 + 5));
  expect(chosen.stages.find(({ stage }) => stage === "Cholesky for each λ")?.flop).toBeCloseTo(cubes / 3, -8);
  expect(chosen.seconds).toBeLessThan(byEigh.seconds / 2);
});
