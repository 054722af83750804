/** Each rival is held against the few lines of its published formula, in f64. */
import { describe, expect, test } from "bun:test";
import {
  CoreError,
  dampedHessian,
  inverseFactor,
  keptMask,
  orderedFactor,
  projectDelta,
  type Repair,
  type Rival,
  repairByRival,
  spectrum,
} from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import fc from "fast-check";
import { combine, multiply, norm, type Plain, plainOf, transpose } from "../support/plain.ts";
import { Random } from "../support/random.ts";
import { onEachEngine } from "./engines.ts";
import {
  distance,
  download,
  innerProduct,
  largest,
  linearShapes,
  onLinear,
  type PlainLinear,
  randomLinear,
  readRounding,
  safetyLossOf,
  upload,
  withNegativeZeros,
} from "./linears.ts";

/** A third model of a linear: the aligned weights moved at random. */
function thirdOf({ rows, cols, aligned }: PlainLinear, seed = 9): Plain {
  const random = new Random(seed);
  return plainOf(
    rows,
    cols,
    Float32Array.from(aligned.values, (value) => value + 0.01 * random.normal()),
  );
}

const drawsOf = (seed: number) => {
  const random = new Random(seed);
  return () => random.uniform();
};

/** Run a rival on a linear; `use` sees its weight, which is freed. */
function onRival<T>(engine: Engine, rival: Rival, linear: PlainLinear, third: Plain, use: (told: Told) => T): T {
  let result: T | undefined;
  onLinear(engine, linear, (weights) => {
    using other = upload(engine, third);
    using factor = dampedHessian(engine, weights.hessian);
    const prepared = { cols: linear.cols, hessian: factor };
    const { weight, numbers } = repairByRival(engine, rival, { ...weights, third: other }, prepared, drawsOf(4));
    using made = weight;
    result = use({ weight: download(engine, made), numbers });
  });
  return result as T;
}

interface Told {
  readonly weight: Plain;
  readonly numbers: Repair["numbers"];
}

/** The published formula: paper symbols in plain f64. */
function published(rival: Rival, { aligned, tuned, delta }: PlainLinear, third: Plain): Plain {
  const draw = drawsOf(4);
  switch (rival.method) {
    case "safe-lora": {
      const { projected, cosine } = projection(aligned, third, delta);
      return cosine <= rival.threshold ? combine(1, aligned, 1, projected) : tuned;
    }
    case "resta": {
      const kept = delta.values.map((value) => (draw() >= rival.drop ? value / (1 - rival.drop) : 0));
      const safety = combine(1, aligned, -1, third);
      return combine(1, combine(1, aligned, 1, { ...delta, values: kept }), rival.gamma, safety);
    }
    case "wise-ft":
      return combine(1 - rival.alpha, aligned, rival.alpha, tuned);
    case "negation":
      return combine(1, tuned, -rival.weight, combine(1, third, -1, aligned));
    case "random-mask": {
      const kept = delta.values.map((value) => (draw() < rival.keep ? value : 0));
      return combine(1, aligned, 1, { ...delta, values: kept });
    }
    case "dare": {
      const kept = delta.values.map((value) => (draw() >= rival.drop ? value / (1 - rival.drop) : 0));
      return combine(1, aligned, 1, { ...delta, values: kept });
    }
  }
}

/** C Δ with C = V Vᵀ/‖V‖, and its cosine to Δ, rounded as the official code does. */
function projection(aligned: Plain, third: Plain, delta: Plain) {
  const v = combine(1, aligned, -1, third);
  const c = multiply(v, transpose(v));
  const projected = multiply(combine(1 / norm(v), c, 0, c), delta);
  const cosine = innerProduct(projected, delta) / (norm(projected) * norm(delta));
  return { projected, cosine: Math.round(1e5 * cosine) / 1e5 };
}

const rivals: Readonly<Record<string, Rival>> = {
  "Safe LoRA, projected": { method: "safe-lora", threshold: 1 },
  "Safe LoRA, left alone": { method: "safe-lora", threshold: -1 },
  RESTA: { method: "resta", gamma: 0.5, drop: 0 },
  "RESTA with DARE": { method: "resta", gamma: 0.5, drop: 0.3 },
  "WiSE-FT": { method: "wise-ft", alpha: 0.3 },
  "task-arithmetic negation": { method: "negation", weight: 0.7 },
  "random mask": { method: "random-mask", keep: 0.4 },
  DARE: { method: "dare", drop: 0.6 },
};

const shape = { rows: 12, cols: 40, nTokens: 60, nDead: 3, unchanged: 0.3, seed: 7 };
/** A group's factor as any mode keeps it. */
const makers = { inverse: inverseFactor, ordered: orderedFactor, spectrum, hessian: dampedHessian };

describe("a rival follows its formula", () => {
  onEachEngine((engine, { tolerance }) => {
    for (const [name, rival] of Object.entries(rivals)) {
      test(name, () => {
        fc.assert(
          fc.property(linearShapes, (sizes) => {
            const linear = randomLinear(sizes);
            const third = thirdOf(linear);
            const { weight, numbers } = onRival(engine(), rival, linear, third, (told) => told);
            const wanted = published(rival, linear, third);
            const change = combine(1, wanted, -1, linear.aligned);
            const allowed = tolerance * largest(change) + 4 * readRounding(linear);
            expect(distance(weight, wanted)).toBeLessThanOrEqual(allowed);
            expect(Math.abs(numbers.deltaNorm - norm(change))).toBeLessThanOrEqual(
              allowed * Math.sqrt(weight.values.length),
            );
          }),
          { numRuns: 25 },
        );
      });

      test(`${name}: what is told is that of the weight, by whichever factor`, () => {
        const linear = randomLinear(shape);
        const third = thirdOf(linear);
        for (const [part, make] of Object.entries(makers)) {
          onLinear(engine(), linear, (weights) => {
            using other = upload(engine(), third);
            using hessian = upload(engine(), linear.hessian);
            using factor = make(engine(), hessian);
            const prepared = { cols: shape.cols, [part]: factor };
            const { weight, numbers } = repairByRival(
              engine(),
              rival,
              { ...weights, third: other },
              prepared,
              drawsOf(4),
            );
            using made = weight;
            const change = combine(1, download(engine(), made), -1, linear.aligned);
            const gap = combine(1, change, -1, linear.delta);
            const readBack = (4 * readRounding(linear) * Math.sqrt(change.values.length)) / norm(change);
            const near = (found: number, wanted: number) =>
              expect(Math.abs(found - wanted)).toBeLessThanOrEqual((tolerance + readBack) * wanted);
            near(numbers.safetyLoss, safetyLossOf(change, linear.hessian));
            near(numbers.fullSafetyLoss, safetyLossOf(linear.delta, linear.hessian));
            near(numbers.deltaNorm, norm(change));
            near(numbers.tunedDeltaNorm, norm(linear.delta));
            near(numbers.utilityGap, norm(gap) ** 2);
            expect(numbers.budget).toBe(numbers.safetyLoss);
          });
        }
      });
    }

    test("the kept entries of the random mask are the tuned ones and those drawn, the others aligned", () => {
      const linear = withNegativeZeros(randomLinear(shape));
      onRival(engine(), rivals["random mask"], linear, thirdOf(linear), ({ weight, numbers }) => {
        const draw = drawsOf(4);
        const mask = keptMask(numbers.kept);
        weight.values.forEach((value, at) => {
          const isKept = draw() < 0.4;
          expect(mask[at]).toBe(isKept ? 1 : 0);
          expect(Object.is(value, (isKept ? linear.tuned : linear.aligned).values[at])).toBe(true);
        });
        expect(numbers.keptShare).toBeCloseTo(mask.reduce((sum, bit) => sum + bit, 0) / mask.length, 12);
      });
    });

    const whole: Readonly<Record<string, readonly [Rival, "aligned" | "tuned"]>> = {
      "WiSE-FT at 0": [{ method: "wise-ft", alpha: 0 }, "aligned"],
      "WiSE-FT at 1": [{ method: "wise-ft", alpha: 1 }, "tuned"],
      "negation of weight 0": [{ method: "negation", weight: 0 }, "tuned"],
      "RESTA with gamma 0": [{ method: "resta", gamma: 0, drop: 0 }, "tuned"],
      "mask that keeps none": [{ method: "random-mask", keep: 0 }, "aligned"],
      "mask that keeps all": [{ method: "random-mask", keep: 1 }, "tuned"],
      "DARE that drops nothing": [{ method: "dare", drop: 0 }, "tuned"],
      "Safe LoRA above its threshold": [{ method: "safe-lora", threshold: -1 }, "tuned"],
    };
    for (const [name, [rival, model]] of Object.entries(whole)) {
      test(`${name} is the ${model} model, bit for bit`, () => {
        const linear = withNegativeZeros(randomLinear(shape));
        onRival(engine(), rival, linear, thirdOf(linear), ({ weight, numbers }) => {
          expect(weight.values.every((value, at) => Object.is(value, linear[model].values[at]))).toBe(true);
          expect(numbers.keptShare).toBe(model === "tuned" ? 1 : 0);
        });
      });
    }

    test("Safe LoRA's cosine has 5 digits, and the threshold takes in its own value", () => {
      const linear = randomLinear(shape);
      const third = thirdOf(linear);
      const { cosine } = projection(linear.aligned, third, linear.delta);
      const told = onRival(
        engine(),
        { method: "safe-lora", threshold: 1 },
        linear,
        third,
        ({ numbers }) => numbers.cosine,
      );
      expect(told).toBe(cosine);
      const keptAt = (threshold: number) =>
        onRival(engine(), { method: "safe-lora", threshold }, linear, third, ({ numbers }) => numbers.keptShare);
      expect([keptAt(Number(told)), keptAt(Number(told) - 1e-5)]).toEqual([0, 1]);
    });

    test("no change at all has cosine 0 and stays none", () => {
      const { aligned, ...rest } = randomLinear(shape);
      const linear = { ...rest, aligned, tuned: aligned, delta: combine(0, aligned, 0, aligned) };
      for (const third of [thirdOf(linear), aligned]) {
        onRival(engine(), { method: "safe-lora", threshold: 0 }, linear, third, ({ weight, numbers }) => {
          expect(numbers.cosine).toBe(0);
          expect(distance(weight, aligned)).toBe(0);
        });
      }
    });

    test("a direction of alignment that is none is refused", () => {
      const linear = randomLinear(shape);
      onLinear(engine(), linear, ({ aligned, tuned }) => {
        const refused = () => projectDelta(engine(), { aligned, tuned }, aligned);
        expect(refused).toThrow(expect.objectContaining({ code: "noDirection" }));
        expect(refused).toThrow(/no direction of alignment/);
      });
    });

    test("a third weight that is missing, misshapen or not finite is refused", () => {
      const linear = randomLinear(shape);
      const rival = rivals.RESTA;
      onLinear(engine(), linear, (weights) => {
        using factor = dampedHessian(engine(), weights.hessian);
        const by = (third?: ReturnType<typeof upload>) => () =>
          repairByRival(engine(), rival, { ...weights, third }, { cols: shape.cols, hessian: factor }, drawsOf(4));
        using narrow = engine().alloc(shape.rows, shape.cols - 1);
        using broken = engine().alloc(shape.rows, shape.cols);
        engine().fill(broken.view(0, 2, 1, 1), Number.NaN);
        expect(by()).toThrow(/resta needs the weight of a third model/);
        expect(by(narrow)).toThrow(/third model's weight is 12 x 39, expected 12 x 40/);
        expect(by(broken)).toThrow(/third model's weight holds NaN or Inf in column 2/);
      });
    });
  });
});

describe("a dial out of its range is refused", () => {
  const wrong: readonly (readonly [Rival, RegExp])[] = [
    [{ method: "safe-lora", threshold: 1.1 }, /safe-lora: threshold must lie in -1 … 1, but is 1\.1/],
    [{ method: "resta", gamma: -1, drop: 0 }, /gamma must be 0 or more, but is -1/],
    [{ method: "resta", gamma: 1, drop: 1 }, /drop must lie in 0 … 1, 1 left out, but is 1/],
    [{ method: "wise-ft", alpha: 1.5 }, /alpha must lie in 0 … 1/],
    [{ method: "negation", weight: Number.NaN }, /weight must be 0 or more, but is NaN/],
    [{ method: "negation", weight: Number.POSITIVE_INFINITY }, /weight must be 0 or more, but is Infinity/],
    [{ method: "random-mask", keep: -0.1 }, /keep must lie in 0 … 1/],
    [{ method: "dare", drop: 1 }, /dare: drop must lie in 0 … 1, 1 left out, but/],
  ];
  onEachEngine((engine) => {
    test.each(wrong)("%j", (rival, message) => {
      const linear = randomLinear(shape);
      expect(() => onRival(engine(), rival, linear, thirdOf(linear), () => {})).toThrow(message);
      expect(() => onRival(engine(), rival, linear, thirdOf(linear), () => {})).toThrow(CoreError);
    });
  });
});
