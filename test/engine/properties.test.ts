import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { combine, multiply, norm, plainOf, transpose } from "../support/plain.ts";
import { Random } from "../support/random.ts";
import { triangle } from "./cases/triangular.ts";
import { enginesHere } from "./engines.ts";
import { type Layout, Trial } from "./trial.ts";

const size = fc.integer({ min: 0, max: 80 });
const seed = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const layout = fc.constantFrom<Layout>("dense", "view");
const factor = fc.constantFrom(0, 1, -1, 0.5, -2.25);
const fixed = { seed: 20250512, numRuns: 60 };

for (const { name, missing, open } of await enginesHere()) {
  if (missing !== undefined) {
    test.skip(`${name}: ${missing}`, () => {});
    continue;
  }
  describe(`${name}, random shapes`, () => {
    test("gemm is alpha op(A) op(B) + beta C", async () => {
      using engine = await open();
      const property = fc.property(
        fc.record({ m: size, depth: size, n: size, seed, layout, transA: fc.boolean(), transB: fc.boolean() }),
        fc.record({ alpha: factor, beta: factor }),
        ({ m, depth, n, seed, layout, transA, transB }, { alpha, beta }) => {
          const t = new Trial(engine, new Random(seed));
          const [a, b, c] = [t.normal(m, depth), t.normal(depth, n), t.normal(m, n)];
          const A = t.matrix(transA ? transpose(a) : a, layout);
          const B = t.matrix(transB ? transpose(b) : b, layout);
          const C = t.matrix(c, layout);
          engine.gemm(alpha, A, transA, B, transB, beta, C);
          const expected = combine(alpha, multiply(a, b), beta, c);
          t.near(t.plain(C), expected, Math.abs(alpha) * norm(a) * norm(b) + Math.abs(beta) * norm(c), depth);
          t.finish();
        },
      );
      fc.assert(property, fixed);
    });

    test("trsm solves X op(R) = B, and trmm brings B back", async () => {
      using engine = await open();
      const property = fc.property(
        fc.record({ m: size, n: size, seed, layout, transR: fc.boolean() }),
        ({ m, n, seed, layout, transR }) => {
          const t = new Trial(engine, new Random(seed));
          const [b, r] = [t.normal(m, n), triangle(t, n)];
          const [B, R] = [t.matrix(b, layout), t.matrix(r, layout)];
          engine.trsm(B, R, transR);
          const x = t.plain(B);
          const scale = norm(x) * norm(r);
          t.near(multiply(x, transR ? transpose(r) : r), b, scale, n);
          engine.trmm(B, R, transR);
          t.near(t.plain(B), b, 2 * scale, n);
          t.finish();
        },
      );
      fc.assert(property, fixed);
    });

    test("scatter puts back what gather took, in any choice of rows and columns", async () => {
      using engine = await open();
      const choice = fc.uniqueArray(fc.nat({ max: 40 }), { maxLength: 41 });
      const property = fc.property(choice, choice, seed, layout, (rows, cols, seed, layout) => {
        const t = new Trial(engine, new Random(seed));
        const m = t.normal(41, 41);
        const [M, few] = [t.matrix(m, layout), t.blank(rows.length, cols.length, layout)];
        const [chosenRows, chosenCols] = [Int32Array.from(rows), Int32Array.from(cols)];
        engine.gather(M, chosenRows, chosenCols, few);
        const kept = plainOf(rows.length, cols.length, engine.read(few));
        expect([...kept.values]).toEqual(rows.flatMap((i) => cols.map((j) => m.values[i * 41 + j])));
        engine.fill(M, 0);
        engine.scatter(few, chosenRows, chosenCols, M);
        engine.fill(few, Number.NaN);
        engine.gather(M, chosenRows, chosenCols, few);
        expect(t.plain(few)).toEqual(kept);
        expect(norm(t.plain(M))).toBeCloseTo(norm(kept), 10);
        t.finish();
      });
      fc.assert(property, fixed);
    });
  });
}
