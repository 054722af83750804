import { expect } from "bun:test";
import type { Matrix } from "@safedelta/engine";
import { combine, identity, multiply, norm, type Plain, plain, plainOf, transpose } from "../../support/plain.ts";
import { bytesOf, type Case, layouts, sizes, type Trial } from "../trial.ts";

function symmetric(t: Trial, n: number): Plain {
  const x = t.normal(n, n);
  const h = combine(0.5, x, 0.5, transpose(x));
  return plainOf(n, n, Float32Array.from(h.values));
}

/** (I − 2uuᵀ) diag(values) (I − 2uuᵀ) with a random unit u: a full matrix with a known spectrum. */
function withSpectrum(t: Trial, values: readonly number[]): Plain {
  const n = values.length;
  const x = t.normal(n, 1);
  const u = combine(1 / norm(x), x, 0, x);
  const reflection = combine(1, identity(n), -2, multiply(u, transpose(u)));
  return multiply(multiply(reflection, diagonal(values)), reflection);
}

function diagonal(values: ArrayLike<number>): Plain {
  return plain(values.length, values.length, (i, j) => (i === j ? values[i] : 0));
}

/** Decompose, check QᵀQ = I, Q diag Qᵀ = h and the order; returns the eigenvalues. */
function decompose(t: Trial, h: Plain, H: Matrix): Float64Array {
  const n = h.rows;
  const { values, vectors } = t.engine.eigh(H);
  const q = t.plain(t.adopt(vectors));
  expect(values.length).toBe(n);
  expect(values.every((value, i) => i === 0 || value >= values[i - 1])).toBe(true);
  t.near(multiply(transpose(q), q), identity(n), n, n);
  t.near(multiply(multiply(q, diagonal(values)), transpose(q)), h, Math.sqrt(n) * norm(h), n);
  return values;
}

/** The eigenvalues of h are `expected` (ascending), each within the error that rounding h itself makes. */
function expectSpectrum(t: Trial, h: Plain, expected: readonly number[]): void {
  const values = decompose(t, h, t.matrix(h));
  t.near(plainOf(1, h.rows, values), plainOf(1, h.rows, expected), 2 * norm(h), h.rows);
}

const ascending = (n: number, value: (share: number) => number) =>
  Array.from({ length: n }, (_, i) => value(n === 1 ? 0 : i / (n - 1)));

/** The eigenvalues of the n x n matrix with 2 on the diagonal and −1 beside it. */
const pathSpectrum = (n: number) =>
  Array.from({ length: n }, (_, i) => 2 - 2 * Math.cos(((i + 1) * Math.PI) / (n + 1)));

/** Spectra that trouble eigensolvers: repeated, zero, graded, clustered. */
const spectra: Record<string, number[]> = {
  "all equal": ascending(40, () => 3),
  "all zero": ascending(33, () => 0),
  "rank one": ascending(33, (share) => (share === 1 ? 5 : 0)),
  "over twelve decades": ascending(64, (share) => 10 ** (12 * share - 6)),
  "two clusters": ascending(50, (share) => (share < 0.5 ? -1 : 1)),
  "negative and positive": ascending(97, (share) => 200 * share - 70),
};

const byHand: Case[] = [
  {
    name: "eigh by hand: [[2, 1], [1, 2]] has 1 and 3",
    run: (t) => expectSpectrum(t, plainOf(2, 2, [2, 1, 1, 2]), [1, 3]),
  },
  {
    name: "eigh of a diagonal matrix sorts it",
    run: (t) => expectSpectrum(t, diagonal([3, -1, 0, 7, 2]), [-1, 0, 2, 3, 7]),
  },
  {
    name: "eigh of a matrix that is tridiagonal in parts: nothing to reflect, couplings that are zero",
    run(t) {
      const n = 45;
      const coupled = (i: number, j: number) => Math.abs(i - j) === 1 && Math.min(i, j) % 9 !== 4;
      const h = plain(n, n, (i, j) => (i === j ? 2 : coupled(i, j) ? -1 : 0));
      expectSpectrum(
        t,
        h,
        [5, 9, 9, 9, 9, 4].flatMap(pathSpectrum).sort((a, b) => a - b),
      );
    },
  },
  {
    name: "eigh of a tiny and of a huge matrix",
    run(t) {
      for (const scale of [1e-15, 1e15]) {
        const h = withSpectrum(t, [-scale, scale, 2 * scale]);
        expectSpectrum(t, h, [-scale, scale, 2 * scale]);
      }
    },
  },
];

export const eigenCases: readonly Case[] = [
  ...[...sizes, 220].flatMap((n) =>
    layouts.map((layout) => ({
      name: `eigh ${n}, ${layout}: QᵀQ = I, Q diag Qᵀ = H, ascending; only the upper triangle is read`,
      run(t: Trial) {
        const h = symmetric(t, n);
        const upperOnly = plain(n, n, (i, j) => (i > j ? Number.NaN : h.values[i * n + j]));
        const H = t.matrix(upperOnly, layout);
        const before = bytesOf(t.engine.read(H));
        decompose(t, h, H);
        expect(bytesOf(t.engine.read(H))).toEqual(before);
      },
    })),
  ),
  ...Object.entries(spectra).map(([name, values]) => ({
    name: `eigh finds a known spectrum: ${name}`,
    run: (t: Trial) => expectSpectrum(t, withSpectrum(t, values), values),
  })),
  ...byHand,
  {
    name: "eigh of XᵀX of low rank: the many eigenvalues at zero are found",
    run(t) {
      const x = t.normal(20, 160);
      const values = decompose(t, multiply(transpose(x), x), t.matrix(multiply(transpose(x), x)));
      const largest = values[159];
      expect(values.filter((value) => value > 1e-3 * largest).length).toBe(20);
      expect(Math.max(...values.subarray(0, 140).map(Math.abs))).toBeLessThan(1e-5 * largest);
    },
  },
  {
    name: "eigh of a matrix with NaN or infinity is an error",
    run(t) {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const h = symmetric(t, 17);
        h.values[3 * 17 + 9] = h.values[9 * 17 + 3] = bad;
        t.rejects("eigh", () => t.adopt(t.engine.eigh(t.matrix(h)).vectors));
      }
    },
  },
];
