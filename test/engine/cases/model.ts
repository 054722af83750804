import { expect } from "bun:test";
import { combine, norm, type Plain, plain, plainOf } from "../../support/plain.ts";
import { type Case, type Layout, layouts, type Trial } from "../trial.ts";

const shapes = [
  [1, 1],
  [1, 130],
  [5, 3],
  [17, 64],
  [33, 97],
  [3, 577],
] as const;

/** x / √(mean(x²) + eps) · (weight + offset), in f64. */
function normalised(x: Plain, weight: Plain, eps: number, offset: number): Plain {
  const scales = Array.from({ length: x.rows }, (_, i) => {
    const row = x.values.subarray(i * x.cols, (i + 1) * x.cols);
    return 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / x.cols + eps);
  });
  return plain(x.rows, x.cols, (i, j) => x.values[i * x.cols + j] * scales[i] * (weight.values[j] + offset));
}

function rmsNorm(t: Trial, x: Plain, weight: Plain, eps: number, offset = 0, layout: Layout = "dense"): Plain {
  const out = t.blank(x.rows, x.cols, layout);
  t.engine.rmsNorm(t.matrix(x, layout), t.matrix(weight, layout), eps, offset, out);
  return t.plain(out);
}

const rmsNorms: Case[] = [
  ...layouts.map((layout) => ({
    name: `rmsNorm as defined, with and without offset, ${layout}`,
    run(t: Trial) {
      for (const [rows, cols] of shapes) {
        for (const offset of [0, 1]) {
          const [x, weight] = [t.normal(rows, cols, 3), t.normal(1, cols)];
          const expected = normalised(x, weight, 1e-5, offset);
          t.near(rmsNorm(t, x, weight, 1e-5, offset, layout), expected, norm(expected) + Math.sqrt(rows), cols);
        }
      }
    },
  })),
  {
    name: "rmsNorm in place",
    run(t) {
      const [x, weight] = [t.normal(17, 33), t.normal(1, 33)];
      const X = t.matrix(x, "view");
      t.engine.rmsNorm(X, t.matrix(weight), 1e-6, 0, X);
      const expected = normalised(x, weight, 1e-6, 0);
      t.near(t.plain(X), expected, norm(expected), 33);
    },
  },
  {
    name: "rmsNorm forgets the scale of its input",
    run(t) {
      const [x, weight] = [t.normal(9, 64), t.normal(1, 64)];
      const expected = rmsNorm(t, x, weight, 0);
      for (const scale of [1e-10, 0.37, 1e10]) {
        t.near(rmsNorm(t, combine(scale, x, 0, x), weight, 0), expected, norm(expected), 64);
      }
    },
  },
  {
    name: "rmsNorm of a zero row is zero, of a row below eps is x / √eps",
    run(t) {
      const weight = plain(1, 8, () => 1);
      const x = plain(2, 8, (i) => i * 1e-8);
      const expected = combine(1e2, x, 0, x);
      t.near(rmsNorm(t, x, weight, 1e-4), expected, norm(expected), 8);
    },
  },
];

const biases: Case[] = layouts.map((layout) => ({
  name: `addBias, ${layout}`,
  run(t: Trial) {
    for (const [rows, cols] of shapes) {
      const [x, bias] = [t.normal(rows, cols), t.normal(1, cols)];
      const X = t.matrix(x, layout);
      t.engine.addBias(X, t.matrix(bias, layout));
      const expected = plain(rows, cols, (i, j) => x.values[i * cols + j] + bias.values[j]);
      t.near(t.plain(X), expected, norm(x) + norm(expected), 1);
    }
  },
}));

/** rows, heads, head size. */
const heads = [
  [1, 1, 2],
  [3, 5, 6],
  [17, 3, 64],
  [33, 2, 34],
] as const;

/** Random angles for rows x headDim/2 pairs. */
function angles(t: Trial, rows: number, headDim: number): Plain {
  return plain(rows, headDim / 2, () => 2 * Math.PI * t.random.uniform());
}

function rotate(t: Trial, x: Plain, angle: Plain, headDim: number, layout: Layout = "dense"): Plain {
  const X = t.matrix(x, layout);
  const of = (f: (a: number) => number) => t.matrix({ ...angle, values: angle.values.map(f) }, layout);
  t.engine.rotary(X, of(Math.cos), of(Math.sin), headDim);
  return t.plain(X);
}

/** (a, b) := (a cos − b sin, b cos + a sin) for the pairs half a head apart. */
function rotated(x: Plain, angle: Plain, headDim: number): Plain {
  const half = headDim / 2;
  return plain(x.rows, x.cols, (i, col) => {
    const first = col % headDim < half;
    const a = angle.values[i * half + (col % half)];
    const other = x.values[i * x.cols + (first ? col + half : col - half)];
    return x.values[i * x.cols + col] * Math.cos(a) + (first ? -other : other) * Math.sin(a);
  });
}

const rotaries: Case[] = [
  ...layouts.map((layout) => ({
    name: `rotary as defined; it keeps the norm, ${layout}`,
    run(t: Trial) {
      for (const [rows, nHeads, headDim] of heads) {
        const [x, angle] = [t.normal(rows, nHeads * headDim), angles(t, rows, headDim)];
        const out = rotate(t, x, angle, headDim, layout);
        t.near(out, rotated(x, angle, headDim), 2 * norm(x), 2);
        t.near(plainOf(1, 1, [norm(out)]), plainOf(1, 1, [norm(x)]), 2 * norm(x), 2);
      }
    },
  })),
  {
    name: "rotary by two angles is rotary by their sum",
    run(t) {
      const [x, one, two] = [t.normal(17, 128), angles(t, 17, 32), angles(t, 17, 32)];
      const twice = rotate(t, rotate(t, x, one, 32), two, 32);
      t.near(twice, rotate(t, x, combine(1, one, 1, two), 32), 4 * norm(x), 4);
    },
  },
  {
    name: "rotary by nothing changes nothing; scores depend on the distance only",
    run(t) {
      const x = t.normal(5, 16);
      t.near(
        rotate(
          t,
          x,
          plain(5, 4, () => 0),
          8,
        ),
        x,
        0,
        0,
      );
      const [q, k] = [t.normal(1, 16), t.normal(1, 16)];
      const at = (p: Plain, position: number) =>
        rotate(
          t,
          p,
          plain(1, 8, (_, j) => position * 100 ** (-j / 8)),
          16,
        );
      const score = (i: number, j: number) => {
        const [a, b] = [at(q, i).values, at(k, j).values];
        return plainOf(1, 1, [a.reduce((sum, value, d) => sum + value * b[d], 0)]);
      };
      t.near(score(7, 3), score(104, 100), 4 * norm(q) * norm(k), 16);
    },
  },
];

const activations = {
  silu: (x: number) => x / (1 + Math.exp(-x)),
  geluTanh: (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
} as const;

/** A fine grid around zero, large and tiny numbers of both signs; as many as 17 x 60. */
const grid = plain(17, 60, (i, j) => {
  const at = i * 60 + j;
  if (at < 1000) return Math.fround((at - 500) / 20);
  const magnitude = [0, 1e-30, 1e-8, 60, 88.5, 89.5, 104, 1e3, 1e4, 1e20][(at - 1000) % 10];
  return Math.fround(at % 20 < 10 ? magnitude : -magnitude);
});

function activate(t: Trial, kind: keyof typeof activations, up: Plain, layout: Layout): Plain {
  const G = t.matrix(grid, layout);
  t.engine.gatedActivation(kind, G, t.matrix(up, layout));
  return t.plain(G);
}

const gates: Case[] = (["silu", "geluTanh"] as const).flatMap((kind) => [
  ...layouts.map((layout) => ({
    name: `${kind} element by element against f64, ${layout}`,
    run(t: Trial) {
      const up = t.normal(17, 60);
      const actual = activate(t, kind, up, layout).values;
      const wrong = grid.values.findIndex((x, at) => {
        const expected = activations[kind](x) * up.values[at];
        const allowed = 2 ** -23 * Math.abs(expected) + 16 * t.unit * Math.abs(x * up.values[at]);
        return !(Math.abs(actual[at] - expected) <= allowed + 1e-44);
      });
      expect(wrong).toBe(-1);
    },
  })),
  {
    name: `${kind}(x) − ${kind}(−x) = x`,
    run(t: Trial) {
      const half = plain(17, 64, (i, j) => (i * 64 + j) / 100);
      const both = plain(34, 64, (i, j) => (i < 17 ? 1 : -1) * Math.fround(half.values[(i % 17) * 64 + j]));
      const G = t.matrix(both);
      const ones = t.alloc(34, 64);
      t.engine.fill(ones, 1);
      t.engine.gatedActivation(kind, G, ones);
      t.engine.add(-1, G.view(17, 0, 17, 64), G.view(0, 0, 17, 64));
      t.near(t.plain(G.view(0, 0, 17, 64)), half, norm(half), 4);
    },
  },
]);

export const modelCases: readonly Case[] = [...rmsNorms, ...biases, ...rotaries, ...gates];
