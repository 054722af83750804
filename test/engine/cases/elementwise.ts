import { expect } from "bun:test";
import type { DType, Values } from "@safedelta/engine";
import { combine, norm, type Plain, pick, plain, plainOf } from "../../support/plain.ts";
import { bytesOf, type Case, layouts, type Trial } from "../trial.ts";

const shapes = [
  [1, 1],
  [3, 5],
  [17, 33],
  [130, 31],
  [64, 97],
] as const;

const sums: Case[] = layouts.flatMap((layout) => [
  {
    name: `add: C := alpha A + C, ${layout}`,
    run(t: Trial) {
      for (const [rows, cols] of shapes) {
        for (const alpha of [1, -1, 0.3, 0]) {
          const [a, c] = [t.normal(rows, cols), t.normal(rows, cols)];
          const C = t.matrix(c, layout);
          t.engine.add(alpha, t.matrix(a, layout), C);
          t.near(t.plain(C), combine(alpha, a, 1, c), norm(a) + norm(c), 1);
        }
      }
    },
  },
  {
    name: `add of a matrix to itself, ${layout}`,
    run(t: Trial) {
      const a = t.normal(17, 33);
      const A = t.matrix(a, layout);
      t.engine.add(1, A, A);
      t.near(t.plain(A), combine(2, a, 0, a), 0, 0);
    },
  },
  {
    name: `scaleCols, ${layout}`,
    run(t: Trial) {
      for (const [rows, cols] of shapes) {
        const m = t.normal(rows, cols);
        const factors = t.random.normals(cols);
        factors[0] = 0;
        const M = t.matrix(m, layout);
        t.engine.scaleCols(M, factors);
        t.near(
          t.plain(M),
          plain(rows, cols, (i, j) => factors[j] * m.values[i * cols + j]),
          10 * norm(m),
          1,
        );
      }
    },
  },
  {
    name: `columnSquares sums in f64, ${layout}`,
    run(t: Trial) {
      const m = plain(2000, 33, (i) => (i === 0 ? 4096 : 0.001 * (1 + t.random.uniform())));
      const rounded = plainOf(2000, 33, Float32Array.from(m.values));
      const actual = t.engine.columnSquares(t.matrix(rounded, layout));
      for (let j = 0; j < 33; j++) {
        let expected = 0;
        for (let i = 0; i < 2000; i++) expected += rounded.values[i * 33 + j] ** 2;
        expect(Math.abs(actual[j] / expected - 1)).toBeLessThan(1e-12); // f32 sums would lose all but the first row
      }
    },
  },
]);

/** Raw values of a dtype; as 16-bit patterns any will do. */
function rawValues(t: Trial, dtype: DType, length: number): Values {
  if (dtype === "f32") return t.random.normals(length);
  return Uint16Array.from({ length }, () => t.random.int(0, 65536));
}

function pickRaw(values: Values, cols: number, rows: ArrayLike<number>, chosen: ArrayLike<number>): number[] {
  return Array.from(rows).flatMap((i) => Array.from(chosen, (j) => values[i * cols + j]));
}

const range = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

/** A matrix of 23 x 37 and choices of its rows and columns; null chooses all. */
const [nRows, nCols] = [23, 37];
const choices = (t: Trial): [Int32Array | null, Int32Array | null][] => {
  const someRows = Int32Array.from(t.random.shuffle(range(nRows)).slice(0, 9));
  const someCols = Int32Array.from(t.random.shuffle(range(nCols)).slice(0, 14));
  const none = new Int32Array(0);
  return [
    [null, null],
    [someRows, null],
    [null, someCols],
    [someRows, someCols],
    [none, null],
    [null, none],
    [none, none],
    [Int32Array.of(nRows - 1), Int32Array.of(nCols - 1)],
  ];
};

/** gather, scatter into zeros, gather again. */
function checkSelection(t: Trial, dtype: DType, rows: Int32Array | null, cols: Int32Array | null): void {
  const values = rawValues(t, dtype, nRows * nCols);
  const [allRows, allCols] = [rows ?? range(nRows), cols ?? range(nCols)];
  const picked = t.alloc(allRows.length, allCols.length, dtype);
  t.engine.gather(t.raw(nRows, nCols, values, dtype), rows, cols, picked);
  const expected = pickRaw(values, nCols, allRows, allCols);
  expect([...t.engine.read(picked)]).toEqual(expected);

  const target = t.alloc(nRows, nCols, dtype);
  t.engine.scatter(picked, rows, cols, target);
  const scattered = t.engine.read(target);
  expect(pickRaw(scattered, nCols, allRows, allCols)).toEqual(expected);
  expect(scattered.filter((value) => value !== 0).length).toBe(expected.filter((value) => value !== 0).length);
}

const selections: Case[] = [
  ...(["f32", "f16", "bf16"] as const).map((dtype) => ({
    name: `scatter undoes gather, ${dtype}`,
    run(t: Trial) {
      for (const [rows, cols] of choices(t)) checkSelection(t, dtype, rows, cols);
    },
  })),
  {
    name: "gather takes an index more than once",
    run(t) {
      const m = t.normal(5, 7);
      const [rows, cols] = [Int32Array.of(4, 0, 4, 2), Int32Array.of(6, 6, 1)];
      const picked = t.blank(4, 3, "view");
      t.engine.gather(t.matrix(m, "view"), rows, cols, picked);
      t.near(t.plain(picked), pick(m, rows, cols), 0, 0);
    },
  },
  {
    name: "scatter leaves the other elements, views included",
    run(t) {
      const [m, few] = [t.normal(9, 11), t.normal(2, 3)];
      const [rows, cols] = [Int32Array.of(7, 1), Int32Array.of(10, 0, 4)];
      const M = t.matrix(m, "view");
      t.engine.scatter(t.matrix(few, "view"), rows, cols, M);
      const at = (indices: Int32Array, index: number) => indices.indexOf(index);
      const expected = plain(9, 11, (i, j) => {
        const chosen = at(rows, i) >= 0 && at(cols, j) >= 0;
        return chosen ? few.values[at(rows, i) * 3 + at(cols, j)] : m.values[i * 11 + j];
      });
      t.near(t.plain(M), expected, 0, 0);
    },
  },
  {
    name: "a permutation of columns and its inverse",
    run(t) {
      const m = t.normal(33, 64);
      const order = Int32Array.from(t.random.shuffle(range(64)));
      const [M, permuted, back] = [t.matrix(m), t.blank(33, 64), t.blank(33, 64)];
      t.engine.gather(M, null, order, permuted);
      t.engine.scatter(permuted, null, order, back);
      expect(bytesOf(t.engine.read(back))).toEqual(bytesOf(t.engine.read(M)));
    },
  },
];

const fills: Case[] = [
  {
    name: "fill of a view fills nothing else",
    run(t) {
      const m: Plain = t.normal(9, 8);
      const M = t.matrix(m);
      t.engine.fill(M.view(2, 3, 4, 2), 1.5);
      const inside = (i: number, j: number) => i >= 2 && i < 6 && j >= 3 && j < 5;
      t.near(
        t.plain(M),
        plain(9, 8, (i, j) => (inside(i, j) ? 1.5 : m.values[i * 8 + j])),
        0,
        0,
      );
    },
  },
  {
    name: "fill of 16-bit matrices rounds the value",
    run(t) {
      for (const [dtype, pattern] of [["f16", 0x3e00] as const, ["bf16", 0x3fc0] as const]) {
        const M = t.alloc(3, 5, dtype);
        t.engine.fill(M, 1.5);
        expect([...t.engine.read(M)]).toEqual(new Array(15).fill(pattern));
      }
    },
  },
];

export const elementwiseCases: readonly Case[] = [...sums, ...selections, ...fills];
