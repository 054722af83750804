/** Which part an evaluated model has in a repair. */
import { expect, test } from "bun:test";
import { pairUp } from "../../cli/src/report/pairUp.ts";
import { sampleReport } from "../report/sampleReport.ts";

function evaluated(model: string, sha256: string) {
  const results = {
    ...{ task: "t", time: "2026", samplesFile: "s", promptsSha256: "p", prompts: "p.jsonl", metrics: [] },
    model: { model, sha256 },
  };
  return { path: "results.json", results, samples: [] };
}

function rolesOf(outFormat: "model" | "lora", models: readonly string[]) {
  const repairs = [{ folder: "out", report: sampleReport(1, { outFormat }) }];
  const evaluations = [evaluated("elsewhere", "a1"), ...models.map((model) => evaluated(model, "x"))];
  const paired = pairUp({ repairs, evaluations, trainings: [], experiments: [] });
  return paired.map(({ input }) => [input.model, input.role]);
}

test("the aligned model is known by its hash, the repaired one by its folder", () => {
  expect(rolesOf("model", ["./out", "other"])).toEqual([
    ["elsewhere", "aligned"],
    ["./out", "repaired"],
    ["other", undefined],
  ]);
});

test("a repaired adapter by its folder behind the base", () => {
  expect(rolesOf("lora", ["org/chat+out", "org/chat+other"])).toEqual([
    ["elsewhere", "aligned"],
    ["org/chat+out", "repaired"],
    ["org/chat+other", undefined],
  ]);
});
