import { describe, expect, test } from "bun:test";
import type { Engine } from "@safedelta/engine";
import { type LoraOptions, type Parameter, planPasses } from "@safedelta/training";
import { enginesHere } from "../engine/engines.ts";
import { families } from "../model/support.ts";
import {
  expectedNumbers,
  nTargets,
  numbersOf,
  openTraining,
  relativeGap,
  sequences,
  type Training,
  tensorGradients,
  withExpected,
} from "./support.ts";

/** Both sides are f32: PyTorch's sums are in another order. */
const f32Tolerance = 2e-5;

/** Those that this machine has. */
const engines = (await enginesHere()).filter(({ missing }) => !missing).map(({ name }) => name);
const passes = planPasses(sequences, 16);
const lora: LoraOptions = { rank: 3, alpha: 6, targets: ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"] };

/** The loss, in f64, without changing anything. */
function lossOf({ trainer }: Training): number {
  return trainer.update(passes, 0, 1).loss;
}

/** Change number `at` of a weight by about `by`; gives the change that was made, in f32. */
function nudge(engine: Engine, { weight }: Parameter, at: number, by: number): number {
  const { cols } = weight;
  const place = weight.view(Math.floor(at / cols), at % cols, 1, 1);
  const [old] = numbersOf(engine, place);
  engine.write(place, new Float32Array([old + by]));
  return numbersOf(engine, place)[0] - old;
}

/** (f(x + h) − f(x − h)) / 2h for two h, and what they tend to as h goes to 0 (Richardson). */
function slope(training: Training, parameter: Parameter, at: number): number {
  const central = (h: number) => {
    const up = nudge(training.engine, parameter, at, h);
    const above = lossOf(training);
    const down = nudge(training.engine, parameter, at, -2 * h);
    const below = lossOf(training);
    nudge(training.engine, parameter, at, -up - down);
    return (above - below) / -down;
  };
  const [wide, narrow] = [central(2 ** -7), central(2 ** -8)];
  return (4 * narrow - wide) / 3;
}

/** The worst difference between gradients and slopes of `trainer`'s parameters, a few numbers of each. */
function worstSlope(training: Training): number {
  let worst = 0;
  for (const parameter of training.trainer.parameters) {
    const before = lossOf(training);
    const gradient = numbersOf(training.engine, parameter.gradient).map((value) => value / nTargets);
    const size = Math.max(...gradient.map(Math.abs));
    expect(size).toBeGreaterThan(0);
    for (const share of [0.37, 0.99]) {
      const at = Math.floor(share * gradient.length);
      worst = Math.max(worst, Math.abs(slope(training, parameter, at) - gradient[at]) / size);
    }
    expect(lossOf(training)).toBe(before);
  }
  return worst;
}

describe("the gradient of every trained weight is the slope of the loss, in f64", () => {
  test.each(families)("%s", async (family) => {
    using training = await openTraining("reference", family);
    expect(worstSlope(training)).toBeLessThan(1e-6);
  });

  test("adapters, their B no longer zero", async () => {
    using training = await openTraining("reference", "qwen2", { lora });
    for (const { weight } of training.trainer.parameters) {
      if (weight.cols === lora.rank) training.engine.fill(weight, 2 ** -6);
    }
    expect(worstSlope(training)).toBeLessThan(1e-6);
  });
});

describe.each(engines)("on %s", (engineName) => {
  test.each(families)("%s: loss and gradients are PyTorch's", async (family) => {
    using training = await openTraining(engineName, family);
    const { loss } = training.trainer.update(passes, 0, 1);
    const gradients = tensorGradients(training);
    await withExpected(`gradients-${family}.safetensors`, async (file) => {
      const [sum] = await expectedNumbers(file, "loss");
      expect(Math.abs(loss * nTargets - sum) / sum).toBeLessThan(f32Tolerance);
      const names = [...file.tensors.keys()].filter((name) => name.includes("."));
      const weights = names.filter((name) => name.endsWith("weight") || name.endsWith("bias"));
      expect(weights.length).toBeGreaterThan(10);
      for (const name of weights) {
        const gap = relativeGap(gradients.get(name) ?? [], await expectedNumbers(file, name));
        expect({ name, fits: gap < f32Tolerance, gap }).toMatchObject({ name, fits: true });
      }
    });
  });

  test.each(families)("%s: passes and recomputed layers give the same gradients", async (family) => {
    using kept = await openTraining(engineName, family);
    using recomputed = await openTraining(engineName, family, { recompute: true });
    const whole = kept.trainer.update(passes, 0, 1);
    const expected = tensorGradients(kept);
    expect(recomputed.trainer.update(passes, 0, 1)).toEqual(whole);
    for (const [name, gradient] of tensorGradients(recomputed)) expect(gradient).toEqual(expected.get(name) as never);
    const parts = kept.trainer.update(planPasses(sequences, 12), 0, 1);
    expect(parts.loss).toBeCloseTo(whole.loss, 5);
    for (const [name, gradient] of tensorGradients(kept))
      expect(relativeGap(gradient, expected.get(name) ?? [])).toBeLessThan(f32Tolerance);
  });
});
