import { describe, expect, test } from "bun:test";
import {
  type Budget,
  lossTolerance,
  numbersAt,
  optimalCurve,
  type RepairNumbers,
  repair,
  spectrum,
} from "@safedelta/core";
import { openEngine } from "@safedelta/engine";
import fc from "fast-check";
import { combine, identity, multiply, norm, type Plain } from "../support/plain.ts";
import { Random } from "../support/random.ts";
import { onEachEngine } from "./engines.ts";
import {
  distance,
  download,
  largest,
  linearShapes,
  meanDiagonal,
  onLinear,
  type PlainLinear,
  randomLinear,
  readRounding,
  safetyLossOf,
  upload,
  uploadLinear,
  withNegativeZeros,
} from "./linears.ts";
import { inverse } from "./oracle.ts";
import { preparedBy, routes } from "./routes.ts";

const runs = { numRuns: 30, seed: 20250512 };
const strengths = fc.double({ min: -6, max: 6, noNaN: true }).map((exponent) => 10 ** exponent);
/** What f32 may move between two ways of solving, as a share of the largest change. */
const sameWithin = 1e-4;
const shares = fc.oneof(fc.constantFrom(1e-12, 0.01, 1 - 1e-9), fc.double({ min: 1e-3, max: 0.999, noNaN: true }));

onEachEngine((engineNow, { tolerance }) => {
  describe.each(routes)("optimal by %s", (route) => {
    function onRepair(
      linear: PlainLinear,
      budget: Budget,
      check: (weight: Plain, numbers: RepairNumbers) => void,
    ): void {
      const engine = engineNow();
      onLinear(engine, linear, (uploaded) => {
        using prepared = preparedBy(engine, route, uploaded.hessian);
        const { weight, numbers } = repair(engine, "optimal", uploaded, prepared.group, budget);
        using held = weight;
        check(download(engine, held), numbers);
      });
    }

    test("is aligned + Δ (I + λH)⁻¹ and predicts the true numbers", () => {
      fc.assert(
        fc.property(linearShapes, strengths, (shape, strength) => {
          const linear = randomLinear(shape);
          onRepair(linear, { kind: "strength", value: strength }, (weight, numbers) => {
            const lambda = strength / meanDiagonal(linear.hessian);
            const shrink = inverse(combine(1, identity(linear.cols), lambda, linear.hessian));
            const d = multiply(linear.delta, shrink);
            const limit = tolerance * largest(linear.delta) + readRounding(linear);
            expect(distance(weight, combine(1, linear.aligned, 1, d))).toBeLessThanOrEqual(limit);
            const [loss, full] = [d, linear.delta].map((change) => safetyLossOf(change, linear.hessian));
            expect(Math.abs(numbers.safetyLoss - loss)).toBeLessThanOrEqual(tolerance * full);
            expect(Math.abs(numbers.fullSafetyLoss - full)).toBeLessThanOrEqual(tolerance * full);
            expect(numbers.utilityGap).toBeCloseTo(norm(combine(1, d, -1, linear.delta)) ** 2, 6);
            expect(numbers.deltaNorm).toBeCloseTo(norm(d), 5);
            expect(numbers).toMatchObject({ strength, keptShare: 0, budget: numbers.safetyLoss });
          });
        }),
        runs,
      );
    });

    test("no perturbation improves both losses", () => {
      fc.assert(
        fc.property(linearShapes, strengths, fc.integer({ min: -4, max: 0 }), (shape, strength, exponent) => {
          const linear = randomLinear(shape);
          onRepair(linear, { kind: "strength", value: strength }, (weight) => {
            const random = new Random(shape.seed + 1);
            const d = combine(1, weight, -1, linear.aligned);
            const moved = { ...d, values: d.values.map((value) => value + 0.003 * 10 ** exponent * random.normal()) };
            const gapOf = (change: Plain) => norm(combine(1, change, -1, linear.delta)) ** 2;
            const [loss, otherLoss] = [d, moved].map((change) => safetyLossOf(change, linear.hessian));
            const [gap, otherGap] = [d, moved].map(gapOf);
            const noise = tolerance ** 2 + 1e-9;
            const lossImproves = otherLoss < loss - noise * safetyLossOf(linear.delta, linear.hessian);
            const gapImproves = otherGap < gap - noise * norm(linear.delta) ** 2;
            expect(lossImproves && gapImproves).toBe(false);
          });
        }),
        runs,
      );
    });

    test("a wanted loss is met", () => {
      fc.assert(
        fc.property(linearShapes, shares, (shape, share) => {
          onRepair(randomLinear(shape), { kind: "loss", share }, (_, { safetyLoss, fullSafetyLoss, budget }) => {
            expect(budget).toBe(share * fullSafetyLoss);
            expect(safetyLoss).toBeLessThanOrEqual(budget);
            const below = route === "spectrum" ? 1e-9 : lossTolerance;
            expect(safetyLoss).toBeGreaterThanOrEqual(budget * (1 - below));
          });
        }),
        runs,
      );
    });

    test("the ends of the dial are the aligned and the tuned model, bit for bit", () => {
      const ends: [Budget, "aligned" | "tuned"][] = [
        [{ kind: "loss", share: 0 }, "aligned"],
        [{ kind: "strength", value: Number.POSITIVE_INFINITY }, "aligned"],
        [{ kind: "loss", share: 1 }, "tuned"],
        [{ kind: "strength", value: 0 }, "tuned"],
      ];
      fc.assert(
        fc.property(linearShapes, fc.constantFrom(...ends), (shape, [budget, end]) => {
          const linear = withNegativeZeros(randomLinear(shape));
          onRepair(linear, budget, (weight, numbers) => {
            expect(weight.values.every((value, at) => Object.is(value, linear[end].values[at]))).toBe(true);
            expect(numbers.safetyLoss).toBe(end === "tuned" ? numbers.fullSafetyLoss : 0);
            expect(numbers.keptShare).toBe(end === "tuned" ? 1 : 0);
          });
        }),
        runs,
      );
    });

    test("without a change there is nothing to lose", () => {
      const linear = randomLinear({ rows: 4, cols: 9, nTokens: 30, nDead: 1, unchanged: 1, seed: 3 });
      for (const share of [0, 0.5, 1]) {
        onRepair(linear, { kind: "loss", share }, (weight, numbers) => {
          expect(distance(weight, linear.aligned)).toBe(0);
          expect(numbers).toMatchObject({ safetyLoss: 0, safetyLossShare: 0, fullSafetyLoss: 0, utilityGap: 0 });
        });
      }
    });
  });

  test("both ways give the same repair at the same strength", () => {
    fc.assert(
      fc.property(linearShapes, strengths, (shape, value) => {
        const engine = engineNow();
        const linear = randomLinear(shape);
        onLinear(engine, linear, (uploaded) => {
          const [one, other] = routes.map((route) => {
            using prepared = preparedBy(engine, route, uploaded.hessian);
            const { weight, numbers } = repair(engine, "optimal", uploaded, prepared.group, {
              kind: "strength",
              value,
            });
            using held = weight;
            return { weight: download(engine, held), numbers };
          });
          const limit = sameWithin * largest(linear.delta) + 2 * readRounding(linear);
          expect(distance(one.weight, other.weight)).toBeLessThanOrEqual(limit);
          expect(Math.abs(one.numbers.safetyLoss - other.numbers.safetyLoss)).toBeLessThanOrEqual(
            sameWithin * one.numbers.safetyLoss,
          );
          expect(Object.keys(one.numbers)).toEqual(Object.keys(other.numbers));
        });
      }),
      runs,
    );
  });

  test("by the Hessian a repair holds three matrices of the group's size and four of the linear's", async () => {
    using own = (await openEngine("wasm")).engine; // with a peak of its own
    const [rows, cols] = [120, 640];
    const linear = randomLinear({ rows, cols, nTokens: 40, nDead: 0, unchanged: 0, seed: 8 });
    using uploaded = uploadLinear(own, linear);
    using prepared = preparedBy(own, "hessian", uploaded.hessian);
    uploaded.hessian[Symbol.dispose]();
    const { weight } = repair(own, "optimal", uploaded, prepared.group, { kind: "loss", share: 0.1 });
    using _held = weight;
    const bytes = (n: number, m: number) => 4 * (3 * n ** 2 + 4 * m * n);
    expect(own.peakBytes).toBe(bytes(cols, rows));
    expect(bytes(11008, 4096)).toBeLessThan(2 ** 32); // what WebAssembly addresses
  });

  test("for the Hessian, a share too small for rounding is none, and one next to all keeps within it", () => {
    const linear = randomLinear({ rows: 4, cols: 30, nTokens: 60, nDead: 2, unchanged: 0, seed: 8 });
    const engine = engineNow();
    onLinear(engine, linear, (uploaded) => {
      using prepared = preparedBy(engine, "hessian", uploaded.hessian);
      for (const share of [1e-40, 1e-30, 1 - 2 ** -40]) {
        const { weight, numbers } = repair(engine, "optimal", uploaded, prepared.group, { kind: "loss", share });
        weight[Symbol.dispose]();
        expect(numbers.safetyLoss).toBeLessThanOrEqual(numbers.budget);
        expect(Number.isFinite(numbers.strength)).toBe(share > 1e-40);
      }
    });
  });

  describe("the curve of optimal", () => {
    test("the curve gives the numbers of every repair, falls in the loss and rises in the gap", () => {
      fc.assert(
        fc.property(linearShapes, (shape) => {
          const engine = engineNow();
          const linear = randomLinear(shape);
          onLinear(engine, linear, (uploaded) => {
            using own = spectrum(engine, uploaded.hessian);
            using delta = upload(engine, linear.delta);
            const curve = optimalCurve(engine, delta, own);
            const all = [0, 1e-3, 0.1, 1, 30, Number.POSITIVE_INFINITY].map((value) => {
              const budget = { kind: "strength", value } as const;
              const { weight, numbers } = repair(
                engine,
                "optimal",
                uploaded,
                { cols: linear.cols, spectrum: own },
                budget,
              );
              weight[Symbol.dispose]();
              const read = numbersAt(curve, budget);
              expect([...Object.keys(read), "kept"]).toEqual(Object.keys(numbers));
              expect(Math.abs(read.safetyLoss - numbers.safetyLoss)).toBeLessThanOrEqual(1e-5 * read.fullSafetyLoss);
              const size = tolerance * read.tunedDeltaNorm ** 2;
              expect(Math.abs(read.utilityGap - numbers.utilityGap)).toBeLessThanOrEqual(size);
              expect(Math.abs(read.deltaNorm - numbers.deltaNorm)).toBeLessThanOrEqual(tolerance * read.tunedDeltaNorm);
              return read;
            });
            for (let i = 1; i < all.length; i++) {
              expect(all[i].safetyLoss).toBeLessThanOrEqual(all[i - 1].safetyLoss);
              expect(all[i].utilityGap).toBeGreaterThanOrEqual(all[i - 1].utilityGap);
            }
          });
        }),
        runs,
      );
    });
  });
});
