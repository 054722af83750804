import { describe, expect, test } from "bun:test";
import { EvaluationError, pairedDifference } from "@safedelta/evaluation";
import fc from "fast-check";

/** Outcomes with these counts of (both, first only, second only, neither). */
function outcomes(both: number, firstOnly: number, secondOnly: number, neither: number): [boolean[], boolean[]] {
  const fill = (value: boolean, n: number) => new Array<boolean>(n).fill(value);
  return [
    [...fill(true, both + firstOnly), ...fill(false, secondOnly + neither)],
    [...fill(true, both), ...fill(false, firstOnly), ...fill(true, secondOnly), ...fill(false, neither)],
  ];
}

/** The exact p-value in whole numbers: 2 Σ_{i <= min} C(n, i) / 2ⁿ, at most 1, to 18 digits. */
function exactPValue(a: number, b: number): number {
  const n = BigInt(a + b);
  let term = 1n;
  let sum = 1n;
  for (let i = 1n; i <= BigInt(Math.min(a, b)); i++) {
    term = (term * (n - i + 1n)) / i;
    sum += term;
  }
  const digits = 10n ** 40n;
  return Math.min(1, Number((2n * sum * digits) / 2n ** n) / Number(digits));
}

describe("pairedDifference", () => {
  // Agresti, Categorical Data Analysis: 1600 people asked twice; p of statsmodels' mcnemar(exact=True) and of SciPy's binomtest.
  test("approval of the prime minister", () => {
    const found = pairedDifference(...outcomes(794, 150, 86, 570));
    expect(found.difference).toBe((944 - 880) / 1600);
    expect(found.pValue).toBeCloseTo(3.715936139571442e-5, 16);
    expect([found.nFirstOnly, found.nSecondOnly]).toEqual([150, 86]);
  });

  // 2 · (1 + 6) / 2⁶, 2 / 2¹⁰, and no disagreement at all.
  test.each([
    [1, 5, 0.21875],
    [0, 10, 2 / 1024],
    [3, 3, 1],
    [0, 0, 1],
  ])("by hand: %d against %d", (firstOnly, secondOnly, pValue) => {
    expect(pairedDifference(...outcomes(2, firstOnly, secondOnly, 2)).pValue).toBeCloseTo(pValue, 15);
  });

  test("the exact binomial sum, also where 2⁻ⁿ underflows; swapping changes the sign alone", () => {
    const count = fc.integer({ min: 0, max: 900 });
    fc.assert(
      fc.property(count, count, (a, b) => {
        const [first, second] = outcomes(1, a, b, 3);
        const found = pairedDifference(first, second);
        const expected = exactPValue(a, b);
        expect(Math.abs(found.pValue - expected)).toBeLessThanOrEqual(1e-11 * expected + 1e-30);
        expect(pairedDifference(second, first).pValue).toBe(found.pValue);
        expect(pairedDifference(second, first).difference).toBeCloseTo(-found.difference, 15);
      }),
      { seed: 2, numRuns: 40 },
    );
  });

  test("refuses outcomes that are not paired", () => {
    expect(() => pairedDifference([true], [true, false])).toThrow(EvaluationError);
    expect(() => pairedDifference([], [])).toThrow(EvaluationError);
  });
});
