/**
 * SmolLM2-135M-Instruct and its pair of adapters against Python, on the WASM engine. Covered here:
 *   - the GGUF file as we read it is the folder that Python makes of it: every bit of every tensor, its JSON files;
 *   - logits of the base, the aligned and the tuned model, and greedy answers, against transformers and PEFT.
 * Elsewhere: tokenizer and chat template in test/tokenizer, the repair in repair.test.ts beside this file.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "@safedelta/checkpoint";
import { openEngine } from "@safedelta/engine";
import { generate, logits, openModel } from "@safedelta/model";
import { largestDifference } from "../model/support.ts";
import { absent, real, realModel, withModel } from "./smollm2.ts";

/**
 * Largest difference of a logit from transformers' f32 one. Logits are about 20 and pass 30 layers: the order of f32 sums
 * alone moves them by some 1e-5.
 */
const tolerance = 1e-4;

interface Top {
  readonly top_ids: number[];
  readonly top_logits: number[];
}

const readJson = (path: string) => JSON.parse(readFileSync(path, "utf8"));
const sha256 = (data: string | Uint8Array) => new Bun.CryptoHasher("sha256").update(data).digest("hex");

/** JSON with the keys of every object in order and no blanks, as make_expected.py writes it (an object cannot: it puts digits first). */
function canonical(value: unknown): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
}

/** Indices of the `n` largest numbers, in descending order. */
function largest(numbers: Float32Array, n: number): number[] {
  return [...numbers.keys()].sort((a, b) => numbers[b] - numbers[a]).slice(0, n);
}

/** The same logits at the top, in the same order but for neighbours closer than twice the tolerance. */
function expectTop(ours: Float32Array, { top_ids, top_logits }: Top): void {
  expect(
    largestDifference(
      top_ids.map((id) => ours[id]),
      top_logits,
    ),
  ).toBeLessThan(tolerance);
  const inOurOrder = largest(ours, top_ids.length).map((id) => top_logits[top_ids.indexOf(id)]);
  expect(largestDifference(inOurOrder, top_logits)).toBeLessThan(2 * tolerance);
}

function logSumExp(numbers: Float32Array): number {
  const max = numbers.reduce((a, b) => Math.max(a, b));
  return max + Math.log(numbers.reduce((sum, value) => sum + Math.exp(value - max), 0));
}

describe.skipIf(!real)(`SmolLM2-135M against Python ${absent && `(skipped: ${absent})`}`, () => {
  test("the GGUF file is the folder of make_base.py, bit for bit", async () => {
    const expected = readJson(join(import.meta.dir, "base.json"));
    await withModel(realModel().gguf, async (base: Checkpoint) => {
      const found: Record<string, string> = {};
      for (const name of [...base.tensors.keys()].sort()) {
        const { dtype, bytes } = await base.read(name);
        found[name] = dtype === "F32" ? sha256(bytes) : dtype;
      }
      expect(found).toEqual(expected.tensors);
      const companion = async (name: string) =>
        JSON.parse(new TextDecoder().decode(await base.companions.get(name)?.bytes()));
      for (const [name, content] of Object.entries(expected.files)) expect(await companion(name)).toEqual(content);
      expect(sha256(canonical(await companion("tokenizer.json")))).toBe(expected.tokenizer);
    });
  }, 300_000);

  test("base: logits are those of transformers", async () => {
    const { prompts } = readJson(realModel().shared("expected-logits.json"));
    using engine = (await openEngine("wasm")).engine;
    using model = await withModel(realModel().gguf, (checkpoint) => openModel(engine, checkpoint));
    for (const { token_ids, logsumexp, ...top } of prompts) {
      const ours = logits(model, token_ids);
      expectTop(ours, top);
      expect(Math.abs(logSumExp(ours) - logsumexp)).toBeLessThan(tolerance);
    }
  }, 300_000);

  test.each(["aligned", "tuned"] as const)(
    "%s: logits and greedy answers are those of PEFT",
    async (name) => {
      const expected = readJson(join(import.meta.dir, "answers.json"))[name] as (Top &
        Record<"ids" | "answer", number[]>)[];
      const { aligned, tuned } = realModel();
      const spec = { aligned, tuned: `${aligned}+${tuned}` }[name];
      using engine = (await openEngine("wasm")).engine;
      using model = await withModel(spec, (checkpoint) => openModel(engine, checkpoint));
      for (const { ids, ...top } of expected) expectTop(logits(model, ids), top);
      const prompts = expected.map(({ ids }) => ids);
      expect(generate(model, prompts, { maxNewTokens: 16, stopIds: [2] })).toEqual(
        expected.map(({ answer }) => answer),
      );
    },
    300_000,
  );
});
