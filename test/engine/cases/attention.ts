import { expect } from "bun:test";
import type { AttentionShape } from "@safedelta/engine";
import { norm, type Plain, pick, plain } from "../../support/plain.ts";
import { bytesOf, type Case, type Layout, layouts, type Trial } from "../trial.ts";

/** Inputs of one attention call; k and v have past + n rows. */
interface Inputs {
  readonly q: Plain;
  readonly k: Plain;
  readonly v: Plain;
  readonly shape: AttentionShape;
}

function shapeOf(nHeads: number, nKvHeads: number, headDim: number, scale = 1 / Math.sqrt(headDim)): AttentionShape {
  return { nHeads, nKvHeads, headDim, scale };
}

function inputs(t: Trial, n: number, past: number, shape: AttentionShape): Inputs {
  const [qCols, kCols] = [shape.nHeads * shape.headDim, shape.nKvHeads * shape.headDim];
  return { q: t.normal(n, qCols), k: t.normal(past + n, kCols), v: t.normal(past + n, kCols), shape };
}

function run(t: Trial, { q, k, v, shape }: Inputs, layout: Layout = "dense"): Plain {
  const out = t.blank(q.rows, q.cols, layout);
  t.engine.attention(t.matrix(q, layout), t.matrix(k, layout), t.matrix(v, layout), shape, out);
  return t.plain(out);
}

/** The definition, in f64: out[t] = Σ_s softmax_s(scale q[t]·k[s]) v[s] over s ≤ past + t, head by head. */
function defined({ q, k, v, shape }: Inputs): Plain {
  const { nHeads, nKvHeads, headDim, scale } = shape;
  const past = k.rows - q.rows;
  return plain(q.rows, q.cols, (row, col) => {
    const head = Math.floor(col / headDim);
    const kvCol = Math.floor((head * nKvHeads) / nHeads) * headDim;
    const keys = Array.from({ length: past + row + 1 }, (_, s) => s);
    const products = keys.map((s) => {
      let sum = 0;
      for (let d = 0; d < headDim; d++) {
        sum += q.values[row * q.cols + head * headDim + d] * k.values[s * k.cols + kvCol + d];
      }
      return scale * sum;
    });
    const top = Math.max(...products);
    const weights = products.map((x) => Math.exp(x - top));
    const total = weights.reduce((a, b) => a + b, 0);
    return keys.reduce((sum, s) => sum + weights[s] * v.values[s * v.cols + kvCol + (col % headDim)], 0) / total;
  });
}

const rows = (a: Plain, from: number, to: number): Plain => {
  const count = Array.from({ length: to - from }, (_, i) => from + i);
  return pick(a, count, [...Array(a.cols).keys()]);
};

/** n, past, query heads, key heads, head size. */
const shapes = [
  [1, 0, 1, 1, 1],
  [1, 40, 2, 1, 16],
  [5, 0, 3, 3, 2],
  [17, 0, 9, 3, 64],
  [33, 31, 4, 2, 17],
  [97, 0, 2, 1, 8],
  [130, 3, 2, 2, 5],
] as const;

/** One score far above the others: query and key rows along the first axis. */
function peaked(t: Trial, score: number): Inputs {
  const shape = shapeOf(1, 1, 8, 1);
  const along = (values: readonly number[]) => plain(values.length, 8, (i, d) => (d === 0 ? values[i] : 0));
  const q = along([100, 100, 100, 100, 100]);
  const k = along([0, -score / 100, score / 100, -score / 100, 0]);
  return { q, k, v: t.normal(5, 8), shape };
}

export const attentionCases: readonly Case[] = [
  ...shapes.flatMap(([n, past, nHeads, nKvHeads, headDim]) =>
    layouts.map((layout) => ({
      name: `attention ${n} after ${past}, ${nHeads}/${nKvHeads} heads of ${headDim}, ${layout}: as defined`,
      run(t: Trial) {
        const given = inputs(t, n, past, shapeOf(nHeads, nKvHeads, headDim));
        t.near(run(t, given, layout), defined(given), norm(given.v) * nHeads, headDim);
      },
    })),
  ),
  {
    name: "attention rows are convex combinations: ones stay ones, nothing leaves the range of v",
    run(t) {
      const given = inputs(t, 64, 9, shapeOf(4, 2, 16));
      const ones = plain(73, 32, () => 1);
      const out = run(t, { ...given, v: ones });
      t.near(
        out,
        plain(64, 64, () => 1),
        norm(out),
        73,
      );
      const [low, high] = [Math.min(...given.v.values), Math.max(...given.v.values)];
      const mixed = run(t, given).values;
      expect(Math.min(...mixed)).toBeGreaterThanOrEqual(low);
      expect(Math.max(...mixed)).toBeLessThanOrEqual(high);
    },
  },
  {
    name: "attention with a past equals the last rows of the full computation",
    run(t) {
      const full = inputs(t, 50, 0, shapeOf(6, 2, 16));
      const whole = run(t, full);
      for (const past of [1, 16, 37, 49]) {
        const last = run(t, { ...full, q: rows(full.q, past, 50) });
        t.near(last, rows(whole, past, 50), norm(full.v), 50);
      }
    },
  },
  {
    name: "attention does not look ahead: later keys and values, NaN included, change no bit",
    run(t) {
      const full = inputs(t, 33, 0, shapeOf(3, 1, 16));
      const spoil = (a: Plain) => plain(a.rows, a.cols, (i, j) => (i < 20 ? a.values[i * a.cols + j] : Number.NaN));
      const before = rows(run(t, full), 0, 20);
      const after = rows(run(t, { ...full, k: spoil(full.k), v: spoil(full.v) }), 0, 20);
      expect(bytesOf(after.values)).toEqual(bytesOf(before.values));
    },
  },
  {
    name: "grouped heads equal repeated key and value heads",
    run(t) {
      const grouped = inputs(t, 20, 5, shapeOf(6, 2, 8));
      const repeat = (a: Plain) => plain(a.rows, 48, (i, j) => a.values[i * 16 + Math.floor(j / 24) * 8 + (j % 8)]);
      const repeated = { ...grouped, k: repeat(grouped.k), v: repeat(grouped.v), shape: shapeOf(6, 6, 8) };
      t.near(run(t, grouped), run(t, repeated), norm(grouped.v), 25);
    },
  },
  {
    name: "scale 0 averages over the rows seen",
    run(t) {
      const given = inputs(t, 9, 0, shapeOf(1, 1, 4, 0));
      const mean = plain(9, 4, (row, d) => {
        let sum = 0;
        for (let s = 0; s <= row; s++) sum += given.v.values[s * 4 + d];
        return sum / (row + 1);
      });
      t.near(run(t, given), mean, norm(given.v), 9);
    },
  },
  ...[1e4, -1e4].map((score) => ({
    name: `softmax with scores of ±${score} stays finite and takes the largest`,
    run(t: Trial) {
      const given = peaked(t, score);
      const out = run(t, given);
      t.near(out, defined(given), norm(given.v), 8);
      t.near(rows(out, 0, 1), rows(given.v, 0, 1), norm(given.v), 1);
      if (score > 0) t.near(rows(out, 2, 3), rows(given.v, 2, 3), norm(given.v), 1);
    },
  })),
];
