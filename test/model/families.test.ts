import { describe, expect, test } from "bun:test";
import { logits } from "@safedelta/model";
import { engineNames, families, fixture, largestDifference, openOn, readExpected } from "./support.ts";

/** Largest difference from transformers' f32 logits, which are at most 8 in size: about 10 roundings of the largest. */
const tolerance = 1e-5;

describe.each(engineNames)("on %s", (engineName) => {
  test.each(families)("%s: logits of every position are those of transformers", async (family) => {
    using opened = await openOn(engineName, fixture(family));
    const { prompts } = await readExpected(fixture(family, "expected.safetensors"));
    expect(prompts).toHaveLength(3);
    for (const { ids, logits: expected } of prompts) {
      expect(largestDifference(logits(opened.model, ids, "all"), expected)).toBeLessThan(tolerance);
    }
  });

  test("the logits of the last position are the last row of all", async () => {
    using opened = await openOn(engineName, fixture("llama"));
    const all = logits(opened.model, [5, 6, 7], "all");
    expect(logits(opened.model, [5, 6, 7])).toEqual(all.slice(-opened.model.config.vocabularySize));
  });
});
