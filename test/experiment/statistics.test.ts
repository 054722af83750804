import { describe, expect, test } from "bun:test";
import { compare, estimate, studentQuantile, studentTails } from "@safedelta/experiment";

describe("Student's distribution", () => {
  test("quantiles are those of the printed tables", () => {
    const table = [
      [0.05, 1, 12.706204736],
      [0.05, 2, 4.30265273],
      [0.05, 4, 2.776445105],
      [0.05, 9, 2.262157163],
      [0.05, 30, 2.042272456],
      [0.01, 4, 4.604094871],
      [0.05, 1000, 1.962339081],
    ];
    for (const [tails, degrees, t] of table) expect(studentQuantile(tails, degrees)).toBeCloseTo(t, 8);
  });

  test("one and two degrees have closed forms", () => {
    for (const t of [0, 0.1, 1, 3, 40]) {
      expect(studentTails(t, 1)).toBeCloseTo(1 - (2 / Math.PI) * Math.atan(t), 12);
      expect(studentTails(t, 2)).toBeCloseTo(1 - t / Math.sqrt(2 + t * t), 12);
    }
  });
});

describe("an estimate", () => {
  test("of one seed is over prompts: Wilson's of a rate, bootstrap of a mean", () => {
    const rate = estimate("rate", [[1, 1, 1, 1, 1, 1, 1, 1, 0, 0]]);
    expect(rate).toMatchObject({ value: 0.8, over: "prompts" });
    // Wilson (1927) for 8 of 10.
    expect(rate?.low).toBeCloseTo(0.4901624715, 8);
    expect(rate?.high).toBeCloseTo(0.9433178485, 8);
    const mean = estimate("mean", [[1, 2, 3, 4]]);
    expect(mean).toMatchObject({ value: 2.5, over: "prompts" });
    expect(mean && [mean.low >= 1, mean.low < 2.5, mean.high > 2.5, mean.high <= 4]).toEqual([true, true, true, true]);
  });

  test("of several is the mean of their means with Student's interval", () => {
    // Means 0.5, 1, 0.75: mean 0.75, standard error 0.25/√3, t(2) = 4.3027.
    const found = estimate("rate", [
      [1, 0],
      [1, 1],
      [1, 1, 1, 0],
    ]);
    const half = (4.30265273 * 0.25) / Math.sqrt(3);
    expect(found).toMatchObject({ value: 0.75, over: "seeds" });
    expect(found?.low).toBeCloseTo(0.75 - half, 8);
    expect(found?.high).toBeCloseTo(0.75 + half, 8);
  });

  test("leaves out what a judge could not be read on, and is none without values", () => {
    expect(estimate("rate", [[1, undefined, 0, undefined]])).toMatchObject({ value: 0.5 });
    expect(estimate("rate", [[undefined], []])).toBeUndefined();
    expect(estimate("rate", [[undefined], [1, 0]])).toMatchObject({ value: 0.5, over: "prompts" });
  });
});

describe("a comparison", () => {
  const [a, b] = [
    [1, 1, 1, 0, 0, 1],
    [0, 0, 0, 0, 1, 1],
  ];

  test("pairs prompt by prompt; McNemar is over the prompts of all seeds", () => {
    const one = compare("rate", [a], [b]);
    expect(one?.value).toBeCloseTo(-1 / 3, 12);
    expect(one?.over).toBe("prompts");
    // 3 against 1: 2 P(X <= 1), X of 4 fair coins.
    expect(one?.p).toBeCloseTo((2 * (1 + 4)) / 16, 12);
    const two = compare("rate", [a, a], [b, b]);
    expect(two).toMatchObject({ over: "seeds" });
    // 6 against 2: 2 P(X <= 2), X of 8.
    expect(two?.p).toBeCloseTo((2 * (1 + 8 + 28)) / 256, 12);
    expect(two?.low).toBeCloseTo(-1 / 3, 12);
  });

  test("leaves out prompts that one of them has no value of", () => {
    expect(compare("rate", [[1, undefined, 0]], [[0, 1, undefined]])?.value).toBe(-1);
    expect(compare("rate", [[undefined]], [[1]])).toBeUndefined();
    expect(compare("mean", [[1, 2]], [[2, 4]])).toMatchObject({ value: 1.5 });
    expect(compare("mean", [[1, 2]], [[2, 4]])?.p).toBeUndefined();
  });
});
