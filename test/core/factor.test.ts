import { describe, expect, test } from "bun:test";
import { accumulate, CoreError, finishHessian, inverseFactor, orderedFactor, spectrum } from "@safedelta/core";
import fc from "fast-check";
import { identity, multiply, type Plain, pick, plainOf, transpose } from "../support/plain.ts";
import { Random } from "../support/random.ts";
import { onEachEngine } from "./engines.ts";
import {
  damp,
  distance,
  download,
  largest,
  linearShapes,
  meanDiagonal,
  onLinear,
  randomLinear,
  upload,
} from "./linears.ts";
import { inverse, officialFactor } from "./oracle.ts";

const runs = { numRuns: 25, seed: 20250512 };

onEachEngine((engineNow, { tolerance }) => {
  describe("hessian", () => {
    test("is (2/n) Σ XᵀX, then 1 on dead columns, then damped", () => {
      fc.assert(
        fc.property(linearShapes, fc.integer({ min: 1, max: 4 }), ({ cols, nTokens, seed }, nExamples) => {
          const engine = engineNow();
          const random = new Random(seed);
          const examples = Array.from({ length: nExamples }, () => sparseInputs(nTokens, cols, random));
          using hessian = engine.alloc(cols, cols);
          for (const example of examples) {
            using x = upload(engine, example);
            accumulate(engine, hessian, x, nExamples);
          }
          const expected = summed(examples);
          const damping = finishHessian(engine, hessian);
          const dampedHessian = damp(expected);
          expect(distance(download(engine, hessian), dampedHessian)).toBeLessThanOrEqual(1e-6 * largest(dampedHessian));
          expect(damping.nDead).toBe(nZeros(expected));
          expect(damping.meanDiagonal / meanDiagonal(dampedHessian)).toBeCloseTo(1, 5);
          expect((damping.damping * 101) / damping.meanDiagonal).toBeCloseTo(1, 10);
        }),
        runs,
      );
    });

    test("refuses NaN and Inf, naming the column, and other shapes", () => {
      const engine = engineNow();
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        using hessian = upload(engine, { ...identity(5), values: identity(5).values.with(2 * 5 + 3, bad) });
        expect(() => finishHessian(engine, hessian)).toThrow(/column 2/);
        expect(() => finishHessian(engine, hessian)).toThrow(CoreError);
      }
      using zero = upload(engine, { ...identity(5), values: identity(5).values.fill(0) });
      expect(() => finishHessian(engine, zero)).toThrow(/every input was zero/);
      using wide = engine.alloc(3, 4);
      using square = engine.alloc(3, 3);
      expect(() => finishHessian(engine, wide)).toThrow(/3 x 4, expected 4 x 4/);
      expect(() => accumulate(engine, square, wide, 1)).toThrow(/3 x 3, expected 4 x 4/);
      expect(() => accumulate(engine, square, square, 0)).toThrow(/at least one example/);
    });
  });

  describe("factors", () => {
    test("H⁻¹ = UᵀU, the official factor", () => {
      fc.assert(
        fc.property(linearShapes, (shape) => {
          const engine = engineNow();
          const linear = randomLinear(shape);
          onLinear(engine, linear, ({ hessian }) => {
            using factor = inverseFactor(engine, hessian);
            const u = download(engine, factor.u);
            const expected = officialFactor(linear.hessian);
            expect(distance(u, expected)).toBeLessThanOrEqual(tolerance * largest(expected));
            expect(distance(download(engine, hessian), linear.hessian)).toBe(0);
          });
        }),
        runs,
      );
    });

    test("the ordered factor goes by ascending 1/[H⁻¹]_jj, ties by index; permuted H = R Rᵀ", () => {
      fc.assert(
        fc.property(linearShapes, fc.boolean(), (shape, isInverseAtHand) => {
          const engine = engineNow();
          const linear = randomLinear(shape);
          onLinear(engine, linear, ({ hessian }) => {
            using given = inverseFactor(engine, hessian);
            using factor = orderedFactor(engine, hessian, isInverseAtHand ? given : undefined);
            const { order, sensitivity } = factor;
            expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from(order.keys()));
            for (let k = 1; k < order.length; k++) {
              expect(sensitivity[k]).toBeGreaterThanOrEqual(sensitivity[k - 1]);
              if (sensitivity[k] === sensitivity[k - 1]) expect(order[k]).toBeGreaterThan(order[k - 1]);
            }
            const inverted = inverse(linear.hessian);
            order.forEach((j, k) => {
              expect(Math.abs(sensitivity[k] * inverted.values[j * inverted.cols + j] - 1)).toBeLessThan(
                10 * tolerance,
              );
            });
            const r = download(engine, factor.r);
            const rebuilt = multiply(r, transpose(r));
            expect(distance(rebuilt, pick(linear.hessian, order, order))).toBeLessThanOrEqual(1e-6 * largest(rebuilt));
          });
        }),
        runs,
      );
    });

    test("the spectrum rebuilds H, and its mean is the mean of the diagonal", () => {
      fc.assert(
        fc.property(linearShapes, (shape) => {
          const engine = engineNow();
          const linear = randomLinear(shape);
          onLinear(engine, linear, ({ hessian }) => {
            using found = spectrum(engine, hessian);
            const q = download(engine, found.vectors);
            const scaled = { ...q, values: q.values.map((value, at) => value * found.values[at % q.cols]) };
            const rebuilt = multiply(scaled, transpose(q));
            expect(distance(rebuilt, linear.hessian)).toBeLessThanOrEqual(1e-5 * largest(linear.hessian));
            const mean = found.values.reduce((sum, value) => sum + value, 0) / found.values.length;
            expect(Math.abs(mean / meanDiagonal(linear.hessian) - 1)).toBeLessThan(1e-5);
          });
        }),
        runs,
      );
    });

    test("a Hessian that is not positive definite is refused by each, and nothing is left behind", () => {
      const engine = engineNow();
      const before = engine.bytesInUse;
      {
        const indefinite = plainOf(3, 3, [1, 2, 0, 2, 1, 0, 0, 0, 1]);
        using hessian = upload(engine, indefinite);
        for (const factor of [inverseFactor, orderedFactor, spectrum]) {
          expect(() => factor(engine, hessian)).toThrow(expect.objectContaining({ code: "notPositiveDefinite" }));
        }
      }
      expect(engine.bytesInUse).toBe(before);
    });
  });
});

/** Inputs where some columns are zero. */
function sparseInputs(nTokens: number, cols: number, random: Random): Plain {
  const x = plainOf(nTokens, cols, random.normals(nTokens * cols));
  return { ...x, values: x.values.map((value, at) => ((at % cols) % 5 === 2 ? 0 : value)) };
}

/** (2/n) Σ XᵀX. */
function summed(examples: readonly Plain[]): Plain {
  const grams = examples.map((x) => multiply(transpose(x), x));
  const values = grams[0].values.map(
    (_, at) => grams.reduce((sum, gram) => sum + gram.values[at], 0) * (2 / grams.length),
  );
  return { ...grams[0], values };
}

function nZeros({ cols, values }: Plain): number {
  return Array.from({ length: cols }, (_, j) => values[j * cols + j]).filter((value) => value === 0).length;
}
