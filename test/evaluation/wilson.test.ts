import { describe, expect, test } from "bun:test";
import { EvaluationError, wilson } from "@safedelta/evaluation";
import fc from "fast-check";

/** z of 95 %, from a table. */
const z95 = 1.959963984540054;

describe("wilson", () => {
  // Newcombe, Statistics in Medicine 17 (1998), table I, method 3: four decimals.
  test.each([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ])("%d of %d as published", (nSuccesses, n, low, high) => {
    const found = wilson(nSuccesses, n);
    expect(found.rate).toBe(nSuccesses / n);
    expect(found.n).toBe(n);
    expect(Number(found.low.toFixed(4))).toBe(low);
    expect(Number(found.high.toFixed(4))).toBe(high);
  });

  test("none and all of n have exact ends, and z²/(n + z²) between", () => {
    const width = z95 ** 2 / (330 + z95 ** 2);
    expect(wilson(0, 330).low).toBe(0);
    expect(wilson(0, 330).high).toBeCloseTo(width, 14);
    expect(wilson(330, 330).low).toBeCloseTo(1 - width, 14);
    expect(wilson(330, 330).high).toBe(1);
  });

  // Python's statistics.NormalDist in the closed formula.
  test("other confidences", () => {
    expect(wilson(7, 10, 0.99).low).toBeCloseTo(0.32002467920110256, 14);
    expect(wilson(7, 10, 0.99).high).toBeCloseTo(0.9204336834769342, 14);
    expect(wilson(7, 10, 0.5).low).toBeCloseTo(0.5953092506125109, 14);
    expect(wilson(7, 10, 0.5).high).toBeCloseTo(0.7872851371596213, 14);
  });

  test("the limits are the shares that lie z standard errors away, and mirror each other", () => {
    const counts = fc
      .integer({ min: 1, max: 5000 })
      .chain((n) => fc.tuple(fc.integer({ min: 0, max: n }), fc.constant(n)));
    fc.assert(
      fc.property(counts, ([nSuccesses, n]) => {
        const { rate, low, high } = wilson(nSuccesses, n);
        for (const limit of [low, high]) {
          expect(Math.abs((rate - limit) ** 2 - (z95 ** 2 * limit * (1 - limit)) / n)).toBeLessThan(1e-14);
        }
        expect(low <= rate && rate <= high && low >= 0 && high <= 1).toBe(true);
        expect(wilson(n - nSuccesses, n).low).toBeCloseTo(1 - high, 14);
      }),
      { seed: 1 },
    );
  });

  test.each([
    [0, 0, 0.95],
    [-1, 5, 0.95],
    [6, 5, 0.95],
    [0.5, 5, 0.95],
    [Number.NaN, 5, 0.95],
    [1, 5, 0],
    [1, 5, 1],
    [1, 5, Number.NaN],
  ])("refuses %p of %p at %p", (nSuccesses, n, confidence) => {
    expect(() => wilson(nSuccesses, n, confidence)).toThrow(EvaluationError);
  });
});
