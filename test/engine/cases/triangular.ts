import { expect } from "bun:test";
import { NotPositiveDefiniteError } from "@safedelta/engine";
import {
  combine,
  identity,
  multiply,
  norm,
  type Plain,
  plain,
  plainOf,
  transpose,
  upper,
} from "../../support/plain.ts";
import { type Case, type Layout, layouts, sizes, type Trial, thrownBy } from "../trial.ts";

/** Sizes with two that span several blocks of a blocked algorithm. */
const blockSizes = [...sizes, 200, 301];

/** A well-conditioned symmetric positive definite matrix: XᵀX / n + I, rounded to f32. */
export function definite(t: Trial, n: number): Plain {
  const x = t.normal(n, n);
  const h = combine(1 / n, multiply(transpose(x), x), 1, identity(n));
  return plainOf(n, n, Float32Array.from(h.values));
}

/** A well-conditioned upper triangle. */
export function triangle(t: Trial, n: number): Plain {
  const off = 0.5 / Math.sqrt(n);
  const r = plain(n, n, (i, j) => (i === j ? 1 + t.random.uniform() : i < j ? off * t.random.normal() : 0));
  return plainOf(n, n, Float32Array.from(r.values));
}

/** NaN below the diagonal: what an operation on the upper triangle must not read. */
function withNaNBelow(a: Plain): Plain {
  return plain(a.rows, a.cols, (i, j) => (i > j ? Number.NaN : a.values[i * a.cols + j]));
}

/** Both layouts of one check at every block size. */
function atAllSizes(name: string, check: (t: Trial, n: number, layout: Layout) => void): Case[] {
  return blockSizes.flatMap((n) =>
    layouts.map((layout) => ({ name: `${name} ${n}, ${layout}`, run: (t: Trial) => check(t, n, layout) })),
  );
}

function diagonal(a: Plain): number[] {
  return Array.from({ length: a.rows }, (_, i) => a.values[i * a.cols + i]);
}

function trace(a: Plain): number {
  return diagonal(a).reduce((sum, value) => sum + value, 0);
}

const choleskies: Case[] = [
  ...atAllSizes("reverse Cholesky gives R Rᵀ = H with a positive diagonal and zeros below:", (t, n, layout) => {
    const h = definite(t, n);
    const H = t.matrix(withNaNBelow(h), layout);
    t.engine.choleskyReverse(H);
    const r = t.plain(H);
    expect(diagonal(r).every((value) => value > 0)).toBe(true);
    t.near(r, upper(r), 0, 0);
    t.near(multiply(r, transpose(r)), h, trace(h), n);
  }),
  {
    name: "reverse Cholesky by hand: [[5, 2], [2, 4]] = R Rᵀ with R = [[2, 1], [0, 2]]",
    run(t) {
      const H = t.matrix(plainOf(2, 2, [5, 2, 2, 4]));
      t.engine.choleskyReverse(H);
      expect([...t.engine.read(H)]).toEqual([2, 1, 0, 2]);
    },
  },
  ...[2 ** -30, 2 ** 30].map((scale) => ({
    name: `reverse Cholesky of H · ${scale} is R · ${Math.sqrt(scale)}`,
    run(t: Trial) {
      const h = definite(t, 64);
      const [H, scaled] = [t.matrix(h), t.matrix(combine(scale, h, 0, h))];
      t.engine.choleskyReverse(H);
      t.engine.choleskyReverse(scaled);
      const r = t.plain(H);
      t.near(t.plain(scaled), combine(Math.sqrt(scale), r, 0, r), 0, 0);
    },
  })),
];

/** The identity with bad pivots at the given places. */
function withPivots(n: number, pivots: Record<number, number>): Plain {
  return plain(n, n, (i, j) => (i === j ? (pivots[i] ?? 1) : 0));
}

function expectPivot(t: Trial, h: Plain, pivot: number, layout: Layout = "dense"): void {
  const error = thrownBy(() => t.engine.choleskyReverse(t.matrix(h, layout)));
  if (!(error instanceof NotPositiveDefiniteError)) throw new Error(`expected NotPositiveDefiniteError, got ${error}`);
  expect([error.operation, error.pivot, error.size]).toEqual(["choleskyReverse", pivot, h.rows]);
  expect(error.message).toContain(`pivot ${pivot}`);
}

const indefinite: Case[] = [
  ...[1, 2, 17, 130, 301].map((n) => ({
    name: `a bad pivot is named, ${n} x ${n}`,
    run(t: Trial) {
      for (const value of [-1, 0, Number.NaN]) {
        for (const pivot of new Set([0, Math.floor(n / 2), n - 1])) {
          expectPivot(t, withPivots(n, { [pivot]: value }), pivot);
          expectPivot(t, withPivots(n, { [pivot]: value }), pivot, "view");
        }
      }
    },
  })),
  {
    name: "of two bad pivots the later row is met first",
    run: (t) => expectPivot(t, withPivots(97, { 12: -1, 80: -2 }), 80),
  },
  {
    name: "a positive diagonal does not hide an indefinite matrix",
    run(t) {
      expectPivot(t, plainOf(2, 2, [1, 2, 2, 1]), 0);
      const h = definite(t, 97);
      h.values[20 * 97 + 90] = h.values[90 * 97 + 20] = 50;
      expectPivot(t, h, 20);
    },
  },
  {
    name: "a singular matrix of ones fails at the second pivot from the last",
    run: (t) =>
      expectPivot(
        t,
        plain(5, 5, () => 1),
        3,
      ),
  },
];

const inverses: Case[] = atAllSizes("R R⁻¹ = R⁻¹ R = I, lower part untouched:", (t, n, layout) => {
  const r = triangle(t, n);
  const R = t.matrix(withNaNBelow(r), layout);
  t.engine.invertTriangle(R);
  const read = t.plain(R);
  const x = upper(read);
  expect(read.values.filter(Number.isNaN).length).toBe((n * (n - 1)) / 2);
  t.near(multiply(r, x), identity(n), norm(r) * norm(x), n);
  t.near(multiply(x, r), identity(n), norm(r) * norm(x), n);
});

/** Rows of B beside n columns. */
const heights = [0, 1, 7, 66];

const products: Case[] = [false, true].flatMap((transR) => {
  const op = (r: Plain) => (transR ? transpose(r) : r);
  const name = transR ? "Rᵀ" : "R";
  return [
    ...atAllSizes(`trmm: B := B ${name},`, (t, n, layout) => {
      for (const m of [...heights, n]) {
        const [b, r] = [t.normal(m, n), triangle(t, n)];
        const B = t.matrix(b, layout);
        t.engine.trmm(B, t.matrix(withNaNBelow(r), layout), transR);
        t.near(t.plain(B), multiply(b, op(r)), norm(b) * norm(r), n);
      }
    }),
    ...atAllSizes(`trsm: X ${name} = B,`, (t, n, layout) => {
      for (const m of [...heights, n]) {
        const [b, r] = [t.normal(m, n), triangle(t, n)];
        const B = t.matrix(b, layout);
        t.engine.trsm(B, t.matrix(withNaNBelow(r), layout), transR);
        const x = t.plain(B);
        t.near(multiply(x, op(r)), b, norm(x) * norm(r), n);
      }
    }),
    ...atAllSizes(`trsm undoes trmm with ${name},`, (t, n, layout) => {
      const b = t.normal(19, n);
      const B = t.matrix(b, layout);
      const R = t.matrix(triangle(t, n), layout);
      t.engine.trmm(B, R, transR);
      t.engine.trsm(B, R, transR);
      t.near(t.plain(B), b, 10 * norm(b), n); // the triangle's condition number stays below 10
    }),
  ];
});

const zeroDiagonals: Case[] = [1, 3, 64, 130].map((n) => ({
  name: `a zero on the diagonal is an error of trsm and invertTriangle, ${n} x ${n}`,
  run(t: Trial) {
    for (const place of new Set([0, Math.floor(n / 2), n - 1])) {
      const r = triangle(t, n);
      r.values[place * n + place] = 0;
      const R = t.matrix(r, "view");
      const B = t.matrix(t.normal(4, n));
      for (const transR of [false, true]) t.rejects("trsm", () => t.engine.trsm(B, R, transR));
      t.rejects("invertTriangle", () => t.engine.invertTriangle(R));
    }
  },
}));

const together: Case[] = atAllSizes("factor, invert, multiply: B R⁻¹ R = B and (R⁻¹)ᵀR⁻¹ H = I,", (t, n, layout) => {
  const h = definite(t, n);
  const [H, X, B] = [t.matrix(h, layout), t.blank(n, n, layout), t.matrix(t.normal(9, n), layout)];
  const b = t.plain(B);
  t.engine.choleskyReverse(H);
  t.engine.convert(H, X);
  t.engine.invertTriangle(X);
  t.engine.trmm(B, X, false);
  t.engine.trmm(B, H, false);
  t.near(t.plain(B), b, 10 * norm(b), n);
  const x = t.plain(X);
  t.near(multiply(multiply(transpose(x), x), h), identity(n), norm(x) ** 2 * norm(h), n);
});

export const triangularCases: readonly Case[] = [
  ...choleskies,
  ...indefinite,
  ...inverses,
  ...products,
  ...zeroDiagonals,
  ...together,
];
