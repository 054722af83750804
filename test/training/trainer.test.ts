import { describe, expect, test } from "bun:test";
import { type Engine, openEngine } from "@safedelta/engine";
import { modelTensors } from "@safedelta/model";
import { planPasses, trainedNumbers, trainingBytes } from "@safedelta/training";
import fc from "fast-check";
import { failingAt, Injected } from "../support/failing.ts";
import { numbersOf, openTraining, openTrainingOn, sequences } from "./support.ts";

const passes = planPasses(sequences, 16);

describe("passes", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 });

  test("hold all examples in order, each whole, within the limit unless one alone is longer", () => {
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 12 }), (sizes, limit) => {
        const examples = sizes.map((n, i) => ({ ids: new Array(n).fill(i), targets: new Array(n).fill(i) }));
        const planned = planPasses(examples, limit);
        expect(planned.flatMap(({ ids }) => [...ids])).toEqual(examples.flatMap(({ ids }) => ids));
        expect(planned.flatMap(({ segments }) => segments.map(({ length }) => length))).toEqual(sizes);
        for (const { ids, segments } of planned) expect(ids.length <= limit || segments.length === 1).toBe(true);
        for (const [i, { ids }] of planned.slice(1).entries()) {
          const first = planned[i + 1].segments[0].length;
          expect(ids.length > 0 && planned[i].ids.length + first > limit).toBe(true);
        }
      }),
      { seed: 20251205, numRuns: 100 },
    );
  });

  test("count only what has a target", () => {
    const [{ rows, targets }] = planPasses(
      [
        { ids: [5, 6, 7], targets: [-1, 7, 2] },
        { ids: [8], targets: [-1] },
      ],
      9,
    );
    expect([[...rows], [...targets]]).toEqual([
      [1, 2],
      [7, 2],
    ]);
  });
});

describe("an update", () => {
  test("is clipped to the norm asked for, and not when it is smaller", async () => {
    const moved = async (clip: number) => {
      using training = await openTraining("reference", "qwen2", { clip });
      const { engine, trainer } = training;
      // AdamW's averages hold the gradient as it was used: m = (1 − beta1) g after the first update.
      const { gradientNorm } = trainer.update(passes, 0, 1);
      const squares = trainer.parameters.flatMap(({ m }) =>
        [...numbersOf(engine, m)].map((value) => (10 * value) ** 2),
      );
      return { gradientNorm, used: Math.sqrt(squares.reduce((a, b) => a + b, 0)) };
    };
    const free = await moved(0);
    expect(free.gradientNorm).toBeGreaterThan(1);
    expect(free.used).toBeCloseTo(free.gradientNorm, 4);
    const clipped = await moved(0.5);
    expect(clipped.gradientNorm).toBe(free.gradientNorm);
    expect(clipped.used).toBeCloseTo(0.5, 4);
    expect((await moved(2 * free.gradientNorm)).used).toBeCloseTo(free.gradientNorm, 4);
  });

  test("decays matrices, and neither biases nor norms", async () => {
    const adamW = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.5 };
    using training = await openTraining("reference", "llama", { adamW, clip: 1e-30 });
    const { engine, trainer } = training;
    const before = trainer.parameters.map(({ weight }) => numbersOf(engine, weight));
    // Clipped to nothing, AdamW still takes its full step of lr along the sign; a tiny rate leaves the decay alone to be seen.
    trainer.update(passes, 1e-3, 1);
    trainer.parameters.forEach(({ name, weight }, i) => {
      const [old, now] = [before[i], numbersOf(engine, weight)];
      const factor = /weight|embedding|head/.test(name) ? 1 - 5e-4 : 1;
      for (const [at, value] of now.entries()) expect(Math.abs(value - factor * old[at])).toBeLessThan(1.1e-6);
    });
  });

  test("that meets NaN changes nothing and says so", async () => {
    using training = await openTraining("reference", "llama");
    const { engine, model, trainer } = training;
    engine.fill(model.finalNorm, Number.NaN);
    const before = numbersOf(engine, model.embedding);
    expect(() => trainer.update(passes, 0.1, 7)).toThrow(/Update 7 met loss NaN/);
    expect(numbersOf(engine, model.embedding)).toEqual(before);
  });

  test("in bf16 keeps every matrix in bf16 and learns the same", async () => {
    using wide = await openTraining("reference", "llama");
    using narrow = await openTraining("reference", "llama", { weights: "bf16" });
    const losses = [wide, narrow].map(({ trainer }) =>
      [1, 2, 3, 4].map((step) => trainer.update(passes, 1e-2, step).loss),
    );
    // The fixture's weights are bf16 already, so the first loss is the same.
    expect(losses[1][0]).toBe(losses[0][0]);
    expect(losses[1][3]).toBeLessThan(losses[1][0] - 1);
    expect(Math.abs(losses[1][3] - losses[0][3])).toBeLessThan(0.1);
    for (const { values } of modelTensors(narrow.model).values())
      expect(values.dtype).toBe(values.rows > 1 ? "bf16" : "f32");
  });
});

describe("memory", () => {
  test.each([
    ["llama", {}],
    ["qwen3", { recompute: true }],
    ["gemma", { weights: "bf16" }],
    ["phi3", { lora: { rank: 2, alpha: 2, targets: ["qkv_proj"] } }],
  ] as const)("%s %j takes what was estimated, and gives all back", async (family, setup) => {
    using engine = (await openEngine("wasm")).engine;
    const training = await openTrainingOn(engine, family, setup);
    training.trainer.update(passes, 0, 1);
    const { config } = training.model;
    const size = {
      config,
      weights: "f32",
      part: "all",
      nTokens: 16,
      nTargets: 12,
      recompute: false,
      ...setup,
    } as const;
    // What is estimated is more than what ever was in use at once, by little.
    expect(engine.peakBytes / trainingBytes(size).total).toBeWithin(0.95, 1.000001);
    const numbers = training.trainer.parameters.map(({ weight }) => weight.rows * weight.cols);
    expect(trainedNumbers(size)).toBe(numbers.reduce((a, b) => a + b, 0));
    training[Symbol.dispose]();
    expect(engine.bytesInUse).toBe(0);
  });

  test("an operation that fails leaves nothing behind", async () => {
    using engine = (await openEngine("reference")).engine;
    const lora = { rank: 2, alpha: 2, targets: ["q_proj"] };
    const work = async (on: Engine) => {
      using training = await openTrainingOn(on, "mistral", { lora });
      training.trainer.update(passes, 0.1, 1);
    };
    for (const n of [2, 31, 77, 150, 200]) {
      await expect(work(failingAt(engine, n))).rejects.toThrow(Injected);
      expect(engine.bytesInUse).toBe(0);
    }
    await work(engine);
    expect(engine.bytesInUse).toBe(0);
  });
});
