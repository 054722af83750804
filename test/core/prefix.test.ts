import { describe, expect, test } from "bun:test";
import { type Budget, inverseFactor, inverseFactorOf, keptMask, nKept, type Repair, repair } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import fc from "fast-check";
import { combine, norm, type Plain, plainOf } from "../support/plain.ts";
import { Random } from "../support/random.ts";
import { onEachEngine } from "./engines.ts";
import {
  distance,
  download,
  largest,
  linearShapes,
  onLinear,
  type PlainLinear,
  randomLinear,
  readRounding,
  safetyLossOf,
  type Uploaded,
  upload,
  withNegativeZeros,
} from "./linears.ts";
import { inverse, officialAdjust } from "./oracle.ts";

const runs = { numRuns: 40, seed: 20250512 };
/** Losses nearer to the limit than this (relative) may fall on either side by f32 rounding. */
const safeMargin = 1e-4;

/** A scale, as the share of the scale that would pay for everything. */
const scaleShares = fc.oneof(
  fc.double({ min: -12, max: 2, noNaN: true }).map((exponent) => 10 ** exponent),
  fc.double({ min: 0.01, max: 1, noNaN: true }),
);

const prefixModes = ["reference", "none", "paper"] as const;

onEachEngine((engineNow, { tolerance }) => {
  /** Run a prefix mode on a random linear and hand everything to `check`. */
  function onRepair(
    linear: PlainLinear,
    mode: (typeof prefixModes)[number],
    budgetFor: (u: Plain) => Budget,
    check: (found: Found, again: (budget: Budget) => Found) => void,
  ): void {
    const engine = engineNow();
    onLinear(engine, linear, (uploaded) => {
      using factor = inverseFactor(engine, uploaded.hessian);
      const u = download(engine, factor.u);
      const run = (budget: Budget) =>
        found(engine, uploaded, u, (weights) =>
          repair(engine, mode, weights, { cols: linear.cols, inverse: factor }, budget),
        );
      check(run(budgetFor(u)), run);
    });
  }

  describe("reference and none", () => {
    test("equal the official loop: mask exactly, weights to rounding, kept entries bit for bit", () => {
      fc.assert(
        fc.property(linearShapes, scaleShares, fc.boolean(), (shape, share, isCompensated) => {
          const linear = randomLinear(shape);
          const scaleFor = (u: Plain) => share * officialScale(linear, u);
          onRepair(
            linear,
            isCompensated ? "reference" : "none",
            (u) => ({ kind: "scale", value: scaleFor(u) }),
            ({ weight, mask, u, numbers }) => {
              const expected = officialAdjust(linear.aligned, linear.tuned, u, scaleFor(u), isCompensated);
              fc.pre(expected.margin > safeMargin);
              expect(mask).toEqual(expected.mask);
              expectKept(weight, mask, linear);
              const limit = tolerance * largest(linear.delta) + readRounding(linear);
              expect(distance(weight, expected.weight)).toBeLessThanOrEqual(limit);
              expect((numbers.blocks?.[0].limit ?? 0) / expected.blocks[0].limit).toBeCloseTo(1, 5);
            },
          );
        }),
        runs,
      );
    });

    test("columns beyond 2048 are a second block, which sees compensated weights in reference only", () => {
      const engine = engineNow();
      const random = new Random(7);
      const [rows, cols] = [3, 2061];
      const u = bandedFactor(cols, random);
      const aligned = plainOf(rows, cols, random.normals(rows * cols, 0.03));
      const tuned = plainOf(
        rows,
        cols,
        Float32Array.from(aligned.values, (value) => value + 0.003 * random.normal()),
      );
      using factor = inverseFactorOf(upload(engine, u));
      using alignedM = upload(engine, aligned);
      using tunedM = upload(engine, tuned);
      for (const [mode, isCompensated] of [
        ["reference", true],
        ["none", false],
      ] as const) {
        const scale = 5;
        const result = repair(
          engine,
          mode,
          { aligned: alignedM, tuned: tunedM },
          { cols, inverse: factor },
          { kind: "scale", value: scale },
        );
        using weight = result.weight;
        const expected = officialAdjust(aligned, tuned, u, scale, isCompensated);
        expect(expected.margin).toBeGreaterThan(safeMargin);
        expect(nKept(result.numbers.kept)).toBeGreaterThan(0);
        expect(keptMask(result.numbers.kept)).toEqual(expected.mask);
        expect(distance(download(engine, weight), expected.weight)).toBeLessThanOrEqual(1e-5);
        expect(result.numbers.blocks?.length).toBe(2);
      }
    });
  });

  describe("paper", () => {
    test("keeps the cheapest prefix by 1/[H⁻¹]_jj and compensates the rest by Σ δ_m/[H⁻¹]_mm · H⁻¹_m", () => {
      fc.assert(
        fc.property(linearShapes, scaleShares, (shape, share) => {
          const linear = randomLinear(shape);
          onRepair(
            linear,
            "paper",
            (u) => ({ kind: "scale", value: (share * officialScale(linear, u)) / 2 }),
            ({ weight, mask, numbers }) => {
              const { rows, cols } = linear;
              const nMost = rows * cols - Math.floor(0.1 * rows * cols);
              expect(mask.filter((bit) => bit === 1).length).toBeLessThanOrEqual(nMost);
              expectKept(weight, mask, linear);
              const expected = paperWeight(linear, mask);
              expect(distance(weight, expected)).toBeLessThanOrEqual(
                10 * tolerance * largest(combine(1, expected, -1, linear.aligned)) + readRounding(linear),
              );
              expectPaperPrefix(linear, mask, numbers.budget, nMost);
            },
          );
        }),
        runs,
      );
    });
  });

  describe.each(prefixModes)("%s", (mode) => {
    test("reports true numbers", () => {
      fc.assert(
        fc.property(linearShapes, scaleShares, (shape, share) => {
          const linear = randomLinear(shape);
          onRepair(
            linear,
            mode,
            (u) => ({ kind: "scale", value: share * officialScale(linear, u) }),
            ({ weight, mask, numbers }) => {
              const d = combine(1, weight, -1, linear.aligned);
              const full = safetyLossOf(linear.delta, linear.hessian);
              const noise = 1e-3 * (full + safetyLossOf(d, linear.hessian)) + 1e-12;
              expect(Math.abs(numbers.fullSafetyLoss - full)).toBeLessThanOrEqual(noise);
              expect(Math.abs(numbers.safetyLoss - safetyLossOf(d, linear.hessian))).toBeLessThanOrEqual(noise);
              expect(numbers.deltaNorm).toBeCloseTo(norm(d), 5);
              expect(numbers.tunedDeltaNorm).toBeCloseTo(norm(linear.delta), 5);
              expect(numbers.utilityGap).toBeCloseTo(norm(combine(1, d, -1, linear.delta)) ** 2, 5);
              expect(numbers.keptShare).toBe(mask.filter((bit) => bit === 1).length / mask.length);
            },
          );
        }),
        runs,
      );
    });

    test("scale 0 and loss 0 give the aligned weights bit for bit", () => {
      fc.assert(
        fc.property(linearShapes, fc.boolean(), (shape, isScale) => {
          const linear = withNegativeZeros(randomLinear(shape));
          const budget: Budget = isScale ? { kind: "scale", value: 0 } : { kind: "loss", share: 0 };
          onRepair(
            linear,
            mode,
            () => budget,
            ({ weight, numbers }) => {
              expect(sameBits(weight, linear.aligned)).toBe(true);
              expect(numbers.safetyLoss).toBe(0);
            },
          );
        }),
        runs,
      );
    });

    test("an endless scale stops at the mode's own limit; its finite scale gives the same again", () => {
      fc.assert(
        fc.property(linearShapes, (shape) => {
          const linear = randomLinear(shape);
          onRepair(
            linear,
            mode,
            () => ({ kind: "scale", value: Number.POSITIVE_INFINITY }),
            ({ mask, numbers }, again) => {
              const numel = mask.length;
              const nLeftOut = Math.floor((mode === "paper" ? 0.1 : 0.15) * numel);
              const isEmptySlice = mode !== "paper" && nLeftOut === 0;
              expect(mask.filter((bit) => bit === 1).length).toBe(isEmptySlice ? 0 : numel - nLeftOut);
              expect(Number.isFinite(numbers.scale)).toBe(true);
              const repeated = again({ kind: "scale", value: numbers.scale ?? Number.NaN });
              expect(repeated.mask).toEqual(mask);
              const less = again({ kind: "scale", value: (numbers.scale ?? Number.NaN) * (1 - 1e-6) });
              if (numbers.scale) expect(less.numbers.keptShare).toBeLessThan(numbers.keptShare);
              expect(Number.isFinite(numbers.budget)).toBe(true);
            },
          );
        }),
        runs,
      );
    });

    test("a wanted loss is met from below, by all but one entry or a thousandth", () => {
      fc.assert(
        fc.property(linearShapes, fc.constantFrom(1e-9, 0.001, 0.03, 0.3, 0.9, 1), (shape, share) => {
          const linear = randomLinear(shape);
          onRepair(
            linear,
            mode,
            () => ({ kind: "loss", share }),
            (best, again) => {
              const limit = share * best.numbers.fullSafetyLoss;
              expect(best.numbers.safetyLoss).toBeLessThanOrEqual(limit);
              const most = again({ kind: "scale", value: Number.POSITIVE_INFINITY });
              if (best.numbers.safetyLoss >= 0.999 * limit || most.numbers.safetyLoss <= limit) return;
              expect(nextLonger(best, most, again).numbers.safetyLoss).toBeGreaterThan(limit);
            },
          );
        }),
        { ...runs, numRuns: 25 },
      );
    });

    test("without a change there is nothing to lose", () => {
      const linear = randomLinear({ rows: 4, cols: 9, nTokens: 30, nDead: 1, unchanged: 1, seed: 3 });
      for (const budget of [
        { kind: "loss", share: 0.5 },
        { kind: "scale", value: 1 },
      ] as const) {
        onRepair(
          linear,
          mode,
          () => budget,
          ({ weight, numbers }) => {
            expect(distance(weight, linear.aligned)).toBe(0);
            expect(numbers).toMatchObject({
              safetyLoss: 0,
              safetyLossShare: 0,
              fullSafetyLoss: 0,
              utilityGap: 0,
              deltaNorm: 0,
            });
          },
        );
      }
    });
  });
});

/** A repair read back. */
interface Found {
  readonly weight: Plain;
  readonly mask: Uint8Array;
  readonly numbers: Repair["numbers"];
  readonly u: Plain;
}

function found(engine: Engine, uploaded: Uploaded, u: Plain, run: (weights: Uploaded) => Repair): Found {
  const { weight, numbers } = run(uploaded);
  using held = weight;
  return { weight: download(engine, held), mask: keptMask(numbers.kept), numbers, u };
}

/** The scale whose budget in the official code equals the loss of all entries (of a positive scale for zero deltas). */
function officialScale({ rows, cols, delta }: PlainLinear, u: Plain): number {
  const sensitivity = Array.from({ length: cols }, (_, j) => 1 / u.values[j * cols + j] ** 2);
  const total = delta.values.reduce((sum, value, at) => sum + value ** 2 * sensitivity[at % cols], 0);
  const mean = sensitivity.reduce((sum, value) => sum + value, 0) / cols;
  return total / (mean * 0.5 * (rows / 4096)) || 1;
}

function expectKept(weight: Plain, mask: Uint8Array, { tuned }: PlainLinear): void {
  expect(weight.values.every((value, at) => mask[at] === 0 || Object.is(value, tuned.values[at]))).toBe(true);
}

/** aligned + C, with the kept entries tuned. */
function paperWeight({ rows, cols, aligned, tuned, delta, hessian }: PlainLinear, mask: Uint8Array): Plain {
  const inverted = inverse(hessian).values;
  const values = aligned.values.map((value, at) => {
    if (mask[at]) return tuned.values[at];
    const [i, j] = [Math.floor(at / cols), at % cols];
    let moved = 0;
    for (let m = 0; m < cols; m++) {
      if (mask[i * cols + m]) moved += (delta.values[i * cols + m] / inverted[m * cols + m]) * inverted[m * cols + j];
    }
    return value + moved;
  });
  return plainOf(rows, cols, values);
}

/** What is kept is cheaper to move than what is not, fits the budget, and one more entry would not (or is over the number). */
function expectPaperPrefix(
  { cols, delta, hessian }: PlainLinear,
  mask: Uint8Array,
  budget: number,
  nMost: number,
): void {
  const inverted = inverse(hessian).values;
  const entries = Array.from(mask, (bit, at) => {
    const sensitivity = 1 / inverted[(at % cols) * cols + (at % cols)];
    return { bit, sensitivity, loss: delta.values[at] ** 2 * sensitivity };
  });
  const [kept, left] = [entries.filter(({ bit }) => bit === 1), entries.filter(({ bit }) => bit === 0)];
  const dearest = Math.max(0, ...kept.map(({ sensitivity }) => sensitivity));
  const cheapest = Math.min(...left.map(({ sensitivity }) => sensitivity));
  expect(dearest).toBeLessThanOrEqual(cheapest * 1.01);
  const spent = kept.reduce((sum, { loss }) => sum + loss, 0);
  expect(spent).toBeLessThanOrEqual(budget * 1.01);
  if (kept.length === nMost || left.length === 0) return;
  const next = Math.max(...left.filter(({ sensitivity }) => sensitivity <= cheapest * 1.01).map(({ loss }) => loss));
  expect(spent + next).toBeGreaterThan(budget * 0.99);
}

/** The shortest prefix longer than `best`, by bisection over the scale. */
function nextLonger(best: Found, most: Found, again: (budget: Budget) => Found): Found {
  const count = ({ mask }: Found) => mask.filter((bit) => bit === 1).length;
  let low = best.numbers.scale ?? 0;
  let next = most;
  let high = most.numbers.scale ?? 0;
  for (let step = 0; step < 60 && count(next) > count(best) + 1; step++) {
    const mid = (low + high) / 2;
    const trial = again({ kind: "scale", value: mid });
    if (count(trial) > count(best)) [high, next] = [mid, trial];
    else low = mid;
  }
  return next;
}

/** An upper factor with a narrow band and a few far entries: well conditioned at any size. */
function bandedFactor(n: number, random: Random): Plain {
  const values = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const size = Math.exp(0.5 * random.normal());
    values[i * n + i] = size;
    for (let j = i + 1; j < Math.min(i + 7, n); j++) values[i * n + j] = 0.1 * size * random.normal();
    if (i + 40 < n) values[i * n + random.int(i + 40, n)] = 0.2 * size;
  }
  return plainOf(n, n, Float32Array.from(values));
}

function sameBits(a: Plain, b: Plain): boolean {
  return a.values.every((value, at) => Object.is(value, b.values[at]));
}
