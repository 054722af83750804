import { describe, expect, test } from "bun:test";
import { type Budget, exactCurve, keptMask, numbersAt, orderedFactor, type Repair, repair } from "@safedelta/core";
import fc from "fast-check";
import { combine, norm, type Plain, plainOf } from "../support/plain.ts";
import { Random } from "../support/random.ts";
import { onEachEngine } from "./engines.ts";
import {
  download,
  linearShapes,
  onLinear,
  type PlainLinear,
  randomLinear,
  safetyLossOf,
  upload,
  withNegativeZeros,
} from "./linears.ts";

const runs = { numRuns: 30, seed: 20250512 };
const shares = fc.oneof(fc.constantFrom(0, 1e-12, 0.01, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true }));

onEachEngine((engineNow, { tolerance }) => {
  /** Repair a random linear, by `keep` or by `loss`. */
  function onRepair(
    linear: PlainLinear,
    budget: Budget,
    check: (found: { weight: Plain; mask: Uint8Array; numbers: Repair["numbers"]; order: Int32Array }) => void,
  ): void {
    const engine = engineNow();
    onLinear(engine, linear, (uploaded) => {
      using ordered = orderedFactor(engine, uploaded.hessian);
      const result = repair(engine, "exact", uploaded, { cols: linear.cols, ordered }, budget);
      using weight = result.weight;
      const mask = keptMask(result.numbers.kept);
      check({ weight: download(engine, weight), mask, numbers: result.numbers, order: ordered.order });
    });
  }

  describe("exact", () => {
    test("keeps the first columns in order bit for bit, and predicts the true numbers", () => {
      fc.assert(
        fc.property(linearShapes, shares, (shape, share) => {
          const linear = randomLinear(shape);
          onRepair(linear, { kind: "keep", share }, ({ weight, mask, numbers, order }) => {
            const kept = new Set(order.slice(0, Math.round(share * linear.cols)));
            expect(Array.from(mask, Boolean)).toEqual(Array.from(mask, (_, at) => kept.has(at % linear.cols)));
            expect(weight.values.every((value, at) => !mask[at] || Object.is(value, linear.tuned.values[at]))).toBe(
              true,
            );
            expect(numbers.keep).toBe(kept.size / linear.cols);
            expect(numbers.keptShare).toBe(kept.size / linear.cols);
            const d = combine(1, weight, -1, linear.aligned);
            const full = safetyLossOf(linear.delta, linear.hessian);
            const noise = 1e-3 * safetyLossOf(d, linear.hessian) + 1e-6 * full;
            expect(Math.abs(numbers.safetyLoss - safetyLossOf(d, linear.hessian))).toBeLessThanOrEqual(noise);
            expect(Math.abs(numbers.fullSafetyLoss - full)).toBeLessThanOrEqual(1e-3 * full);
            expect(numbers.deltaNorm).toBeCloseTo(norm(d), 6);
            expect(numbers.utilityGap).toBeCloseTo(norm(combine(1, d, -1, linear.delta)) ** 2, 6);
          });
        }),
        runs,
      );
    });

    test("no other choice for the columns that are not kept has a lower safety loss", () => {
      fc.assert(
        fc.property(linearShapes, shares, fc.integer({ min: -4, max: 0 }), (shape, share, exponent) => {
          const linear = randomLinear(shape);
          onRepair(linear, { kind: "keep", share }, ({ weight, mask }) => {
            const d = combine(1, weight, -1, linear.aligned);
            const random = new Random(shape.seed + 1);
            const size = 0.003 * 10 ** exponent;
            const moved = {
              ...d,
              values: d.values.map((value, at) => value + (mask[at] ? 0 : size * random.normal())),
            };
            const [least, other] = [d, moved].map((change) => safetyLossOf(change, linear.hessian));
            const noise = (tolerance ** 2 + 1e-9) * safetyLossOf(linear.delta, linear.hessian);
            expect(other).toBeGreaterThanOrEqual(least - noise);
          });
        }),
        runs,
      );
    });

    test("a wanted loss keeps as many columns as fit", () => {
      fc.assert(
        fc.property(linearShapes, shares, (shape, share) => {
          const linear = randomLinear(shape);
          onRepair(linear, { kind: "loss", share }, ({ numbers }) => {
            expect(numbers.safetyLoss).toBeLessThanOrEqual(share * numbers.fullSafetyLoss);
            expect(numbers.budget).toBe(share * numbers.fullSafetyLoss);
            const k = Math.round((numbers.keep ?? 0) * linear.cols);
            if (k === linear.cols || share === 0) return;
            onRepair(linear, { kind: "keep", share: (k + 1) / linear.cols }, ({ numbers: next }) => {
              expect(next.safetyLoss).toBeGreaterThan(share * numbers.fullSafetyLoss);
            });
          });
        }),
        runs,
      );
    });

    test("nothing kept is the aligned model and everything the tuned one, bit for bit", () => {
      fc.assert(
        fc.property(linearShapes, fc.constantFrom("keep", "loss"), fc.boolean(), (shape, kind, isFull) => {
          const linear = withNegativeZeros(randomLinear(shape));
          onRepair(linear, { kind, share: isFull ? 1 : 0 }, ({ weight }) => {
            const expected = isFull ? linear.tuned : linear.aligned;
            expect(weight.values.every((value, at) => Object.is(value, expected.values[at]))).toBe(true);
          });
        }),
        runs,
      );
    });

    test("loss 0 is the aligned model even where keeping everything would cost nothing", () => {
      const zeros = plainOf(2, 3, new Float64Array(6));
      const hessian = plainOf(3, 3, [2, 0, 0, 0, 1, 0, 0, 0, 1]);
      const aligned = plainOf(2, 3, new Float64Array(6).fill(-0));
      const linear = { rows: 2, cols: 3, hessian, delta: zeros, aligned, tuned: zeros };
      onRepair(linear, { kind: "loss", share: 0 }, ({ weight, numbers }) => {
        expect(weight.values.every((value) => Object.is(value, -0))).toBe(true);
        expect(numbers.keep).toBe(0);
      });
    });

    test("the curve gives the numbers of every repair", () => {
      fc.assert(
        fc.property(linearShapes, shares, (shape, share) => {
          const engine = engineNow();
          const linear = randomLinear(shape);
          onLinear(engine, linear, (uploaded) => {
            using ordered = orderedFactor(engine, uploaded.hessian);
            using delta = upload(engine, linear.delta);
            const curve = exactCurve(engine, delta, ordered, true);
            for (const kind of ["keep", "loss"] as const) {
              const budget = { kind, share };
              const { weight, numbers } = repair(engine, "exact", uploaded, { cols: linear.cols, ordered }, budget);
              weight[Symbol.dispose]();
              const read = numbersAt(curve, budget);
              expect([...Object.keys(read), "kept"]).toEqual(Object.keys(numbers));
              expect(read.keep).toBe(numbers.keep ?? Number.NaN);
              const noise = tolerance * (numbers.tunedDeltaNorm ** 2 + numbers.deltaNorm ** 2);
              expect(Math.abs(read.deltaNorm ** 2 - numbers.deltaNorm ** 2)).toBeLessThanOrEqual(noise);
              expect(Math.abs(read.utilityGap - numbers.utilityGap)).toBeLessThanOrEqual(noise);
              expect(Math.abs(read.safetyLoss - numbers.safetyLoss)).toBeLessThanOrEqual(1e-5 * numbers.fullSafetyLoss);
            }
          });
        }),
        runs,
      );
    });

    test("a curve without distances says how to get them", () => {
      const engine = engineNow();
      const linear = randomLinear({ rows: 2, cols: 3, nTokens: 9, nDead: 0, unchanged: 0, seed: 1 });
      onLinear(engine, linear, ({ hessian, tuned }) => {
        using ordered = orderedFactor(engine, hessian);
        const curve = exactCurve(engine, tuned, ordered);
        expect(() => numbersAt(curve, { kind: "keep", share: 0.5 })).toThrow(/exactCurve/);
      });
    });

    test("columns that are alike are kept in the order of their index", () => {
      const engine = engineNow();
      const delta = plainOf(2, 4, [1, 2, 3, 4, 5, 6, 7, 8]);
      const hessian = plainOf(4, 4, [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
      const linear = { rows: 2, cols: 4, hessian, delta, aligned: plainOf(2, 4, new Float32Array(8)), tuned: delta };
      onRepair(linear, { kind: "keep", share: 0.5 }, ({ order, mask, weight }) => {
        expect(Array.from(order)).toEqual([1, 2, 3, 0]);
        expect(Array.from(mask)).toEqual([0, 1, 1, 0, 0, 1, 1, 0]);
        expect(Array.from(weight.values, (value) => value + 0)).toEqual([0, 2, 3, 0, 0, 6, 7, 0]);
      });
      expect(engine.info.name).toBeDefined();
    });
  });
});
