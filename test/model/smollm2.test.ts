import { describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { logits } from "@safedelta/model";
import { largestDifference, openOn, sharedFolder } from "./support.ts";

/**
 * Largest difference of a logit from transformers' f32 one. Logits are about 20 and pass 30 layers: the order of f32 sums
 * alone moves them by some 1e-5.
 */
const tolerance = 1e-4;

interface Prompt {
  readonly token_ids: number[];
  readonly top_ids: number[];
  readonly top_logits: number[];
  readonly logsumexp: number;
}

/** The folder that make_base.py of the shared smollm2 folder makes. */
const base = process.env.SAFEDELTA_SMOLLM2;
const shared = await sharedFolder("models", "smollm2");

/** Indices of the `n` largest numbers, in descending order. */
function largest(numbers: Float32Array, n: number): number[] {
  return [...numbers.keys()].sort((a, b) => numbers[b] - numbers[a]).slice(0, n);
}

function logSumExp(numbers: Float32Array): number {
  const max = numbers.reduce((a, b) => Math.max(a, b));
  return max + Math.log(numbers.reduce((sum, value) => sum + Math.exp(value - max), 0));
}

describe.skipIf(!base || !shared)("SmolLM2-135M (skipped unless SAFEDELTA_SMOLLM2 names its folder)", () => {
  test("logits are those of transformers", async () => {
    const { prompts } = JSON.parse(await readFile(join(shared ?? "", "expected-logits.json"), "utf8"));
    using opened = await openOn("wasm", base ?? "");
    for (const { token_ids, top_ids, top_logits, logsumexp } of prompts as Prompt[]) {
      const ours = logits(opened.model, token_ids);
      const atTop = top_ids.map((id) => ours[id]);
      expect(largestDifference(atTop, top_logits)).toBeLessThan(tolerance);
      expect(Math.abs(logSumExp(ours) - logsumexp)).toBeLessThan(tolerance);
      // The same order, but for neighbours closer to each other than twice the tolerance.
      const inOurOrder = largest(ours, top_ids.length).map((id) => top_logits[top_ids.indexOf(id)]);
      expect(largestDifference(inOurOrder, top_logits)).toBeLessThan(2 * tolerance);
    }
  }, 120_000);
});
