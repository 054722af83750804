import { describe, expect, test } from "bun:test";
import {
  bootstrapMean,
  cohensKappa,
  EvaluationError,
  mcnemar,
  neededPerGroup,
  pairedBootstrap,
  smallestDifference,
} from "@safedelta/evaluation";
import golden from "./golden/scores.json";

const times = (n: number, value: boolean) => Array<boolean>(n).fill(value);

describe("mcnemar", () => {
  test("p as statsmodels, exact", () => {
    for (const { a, b, p } of golden.tests) expect(mcnemar(a, b).p).toBeCloseTo(p, 12);
  });

  test.each(golden.tails as [number, number, number][])("%d of %d disagreements as scipy's binomtest", (k, n, p) => {
    const a = [...times(k, true), ...times(n - k, false)];
    const found = mcnemar(
      a,
      a.map((value) => !value),
    );
    expect(found).toMatchObject({ onlyA: k, onlyB: n - k });
    expect(found.p / p).toBeCloseTo(1, 9);
  });

  test("lists that do not pair up are refused", () => {
    expect(() => mcnemar([true], [])).toThrow(EvaluationError);
    expect(() => mcnemar([], [])).toThrow(EvaluationError);
  });
});

describe("cohensKappa", () => {
  test("as scikit-learn", () => {
    for (const { a, b, kappa } of golden.tests)
      if (kappa !== null) expect(cohensKappa(a, b).kappa).toBeCloseTo(kappa, 12);
  });

  // 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5.
  test("a table by hand, and what says nothing", () => {
    const a = [...times(25, true), ...times(25, false)];
    const b = [...times(20, true), ...times(5, false), ...times(10, true), ...times(15, false)];
    expect(cohensKappa(a, b).observed).toBe(0.7);
    expect(cohensKappa(a, b).kappa).toBeCloseTo(0.4, 12);
    expect(cohensKappa(["safe", "safe"], ["safe", "safe"])).toEqual({ observed: 1, kappa: undefined, n: 2 });
  });
});

describe("bootstrap", () => {
  const values = Array.from({ length: 400 }, (_, i) => (i * 7919) % 101);

  test("the interval is the normal one for a mean of many", () => {
    const { mean, low, high, n } = bootstrapMean(values);
    const exact = values.reduce((sum, value) => sum + value, 0) / n;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - exact) ** 2, 0) / n);
    expect(mean).toBeCloseTo(exact, 12);
    const half = (1.96 * deviation) / Math.sqrt(n);
    expect(Math.abs((high - low) / 2 - half) / half).toBeLessThan(0.03);
  });

  test("pairs stay together: a constant gain has no spread, and a seed repeats", () => {
    const better = values.map((value) => value + 2);
    const { mean, low, high } = pairedBootstrap(values, better, { nDraws: 200 });
    expect([mean, low, high]).toEqual([2, 2, 2]);
    expect(bootstrapMean(values, { seed: 3 })).toEqual(bootstrapMean(values, { seed: 3 }));
    expect(bootstrapMean(values, { seed: 3 }).low).not.toBe(bootstrapMean(values, { seed: 4 }).low);
    expect(() => pairedBootstrap([1], [1, 2])).toThrow(EvaluationError);
    expect(() => bootstrapMean([Number.NaN])).toThrow(EvaluationError);
  });
});

describe("power", () => {
  // Fleiss, Levin & Paik 2003: 0.6 against 0.7 at 5 %, power 0.8 without correction: 356 (rounded up) in each group.
  test("a textbook case, forwards and back", () => {
    expect(Math.ceil(neededPerGroup(0.6, 0.7))).toBe(356);
    expect(smallestDifference(0.6, neededCeil(0.4, 0.5)) as number).toBeCloseTo(0.1, 2);
  });

  test("fewer examples see less, and few may see nothing", () => {
    const at = (n: number) => smallestDifference(0.05, n) as number;
    expect(at(60)).toBeGreaterThan(at(330));
    expect(neededPerGroup(0.05, 0.05 + at(60))).toBeCloseTo(60, 6);
    expect(smallestDifference(0.5, 2)).toBeUndefined();
    expect(() => smallestDifference(2, 60)).toThrow(EvaluationError);
  });
});

function neededCeil(p: number, q: number): number {
  return Math.ceil(neededPerGroup(p, q));
}
