import { expect } from "bun:test";
import type { AttentionShape } from "@safedelta/engine";
import { norm, type Plain, plain } from "../../support/plain.ts";
import { checkGradients, longest, type Twin } from "../gradients.ts";
import { bytesOf, type Case, type Layout, layouts, type Trial } from "../trial.ts";

const shapes = [
  [1, 1],
  [1, 130],
  [5, 3],
  [17, 64],
  [33, 97],
  [131, 17],
  [3, 577],
] as const;

function normTwin(x: Plain, weight: Plain, eps: number, offset: number): Twin {
  return {
    inputs: { x, weight },
    outRows: x.rows,
    outCols: x.cols,
    forward: (e, m, out) => e.rmsNorm(m.x, m.weight, eps, offset, out),
    backward: (e, m, _, dOut, d) => e.rmsNormBackward(m.x, m.weight, eps, offset, dOut, d.x, d.weight),
    accumulated: ["weight"],
    scales(dOut) {
      const scaled = plain(x.rows, x.cols, (i, j) => {
        const row = x.values.subarray(i * x.cols, (i + 1) * x.cols);
        const r = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / x.cols + eps);
        return r * (weight.values[j] + offset) * dOut.values[i * x.cols + j];
      });
      return { x: 3 * norm(scaled), weight: norm(dOut) * Math.sqrt(x.cols) };
    },
    depth: Math.max(x.cols, x.rows),
  };
}

const norms: Case[] = [
  ...layouts.map((layout) => ({
    name: `rmsNormBackward gives the gradients of rmsNorm, with and without offset, ${layout}`,
    run(t: Trial) {
      for (const [at, [rows, cols]] of shapes.entries()) {
        checkGradients(t, normTwin(t.normal(rows, cols, 3), t.normal(1, cols), 1e-2, at % 2), layout);
      }
    },
  })),
  {
    name: "rmsNormBackward in place of the gradient or of x gives the same bytes",
    run(t) {
      const [x, weight, dOut] = [t.normal(20, 33), t.normal(1, 33), t.normal(20, 33)];
      const run = (choose: (X: ReturnType<Trial["matrix"]>, G: typeof X) => typeof X) => {
        const [X, G, dW] = [t.matrix(x, "view"), t.matrix(dOut, "view"), t.alloc(1, 33)];
        const dX = choose(X, G);
        t.engine.rmsNormBackward(X, t.matrix(weight), 1e-6, 1, G, dX, dW);
        return [t.engine.read(dX), t.engine.read(dW)].map(bytesOf);
      };
      const apart = run(() => t.blank(20, 33));
      expect(run((_, G) => G)).toEqual(apart);
      expect(run((X) => X)).toEqual(apart);
    },
  },
];

/** A fine grid around zero with large and tiny numbers of both signs. */
const grid = plain(17, 60, (i, j) => {
  const at = i * 60 + j;
  if (at < 1000) return Math.fround((at - 500) / 20);
  const magnitude = [0, 1e-30, 1e-8, 60, 88.5, 89.5, 104, 1e3, 1e4, 1e20][(at - 1000) % 10];
  return Math.fround(at % 20 < 10 ? magnitude : -magnitude);
});

function gateTwin(kind: "silu" | "geluTanh", gate: Plain, up: Plain): Twin {
  return {
    inputs: { gate, up },
    outRows: gate.rows,
    outCols: gate.cols,
    forward(e, m, out) {
      e.convert(m.gate, out);
      e.gatedActivation(kind, out, m.up);
    },
    backward: (e, m, _, dOut, d) => e.gatedActivationBackward(kind, m.gate, m.up, dOut, d.gate, d.up),
    scales: (dOut) => ({ gate: 8 * norm(dOut) * longest(up, 1), up: 4 * norm(dOut) * longest(gate, 1) }),
    depth: 4,
  };
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const slopes = {
  silu: (x: number) => sigmoid(x) + x * sigmoid(x) * sigmoid(-x),
  geluTanh(x: number) {
    const [c, d] = [Math.sqrt(2 / Math.PI), 0.044715];
    const u = 2 * c * (x + d * x ** 3);
    return sigmoid(u) + (Math.abs(x) > 1e3 ? 0 : x * sigmoid(u) * sigmoid(-u) * 2 * c * (1 + 3 * d * x * x));
  },
} as const;

const gates: Case[] = (["silu", "geluTanh"] as const).flatMap((kind) => [
  ...layouts.map((layout) => ({
    name: `gatedActivationBackward gives the gradients of ${kind}, ${layout}`,
    run(t: Trial) {
      for (const [rows, cols] of shapes) {
        checkGradients(t, gateTwin(kind, t.normal(rows, cols, 2), t.normal(rows, cols)), layout);
      }
    },
  })),
  {
    name: `the slope of ${kind} element by element against f64, large and tiny numbers included`,
    run(t: Trial) {
      const [ones, dGate, dUp] = [t.alloc(17, 60), t.blank(17, 60), t.blank(17, 60)];
      t.engine.fill(ones, 1);
      t.engine.gatedActivationBackward(kind, t.matrix(grid), ones, ones, dGate, dUp);
      const actual = t.plain(dGate).values;
      const wrong = grid.values.findIndex((x, at) => {
        const expected = slopes[kind](x);
        const size = 1 + Math.min(Math.abs(x), 100);
        return !(Math.abs(actual[at] - expected) <= 2 ** -23 * Math.abs(expected) + 16 * t.unit * size + 1e-44);
      });
      expect(wrong).toBe(-1);
    },
  },
  {
    name: `gatedActivationBackward of ${kind} in place gives the same bytes`,
    run(t: Trial) {
      const given = [t.normal(9, 37, 2), t.normal(9, 37), t.normal(9, 37)];
      const run = (gateInto: number, upInto: number) => {
        const m = [...given.map((p) => t.matrix(p, "view")), t.blank(9, 37), t.blank(9, 37)];
        t.engine.gatedActivationBackward(kind, m[0], m[1], m[2], m[gateInto], m[upInto]);
        return [m[gateInto], m[upInto]].map((one) => bytesOf(t.engine.read(one)));
      };
      const apart = run(3, 4);
      for (const [gateInto, upInto] of [
        [0, 1],
        [1, 0],
        [2, 1],
        [0, 2],
      ]) {
        expect(run(gateInto, upInto)).toEqual(apart);
      }
    },
  },
]);

/** n, query heads, key heads, head size: around the blocks of queries. */
const attentions = [
  [1, 1, 1, 1],
  [2, 2, 1, 16],
  [5, 3, 3, 2],
  [17, 6, 2, 64],
  [33, 4, 2, 17],
  [65, 2, 1, 8],
] as const;

function shapeOf(nHeads: number, nKvHeads: number, headDim: number): AttentionShape {
  return { nHeads, nKvHeads, headDim, scale: 1 / Math.sqrt(headDim) };
}

function attentionTwin(t: Trial, n: number, shape: AttentionShape): Twin {
  const [cols, kvCols] = [shape.nHeads * shape.headDim, shape.nKvHeads * shape.headDim];
  const inputs = { q: t.normal(n, cols), k: t.normal(n, kvCols), v: t.normal(n, kvCols) };
  return {
    inputs,
    outRows: n,
    outCols: cols,
    forward: (e, m, out) => e.attention(m.q, m.k, m.v, shape, out),
    backward: (e, m, out, dOut, d) => e.attentionBackward(m.q, m.k, m.v, shape, out, dOut, d.q, d.k, d.v),
    scales(dOut) {
      const [q, k, v] = Object.values(inputs).map((p) => longest(p, shape.headDim));
      const scores = 2 * shape.scale * norm(dOut) * v;
      return { q: scores * k, k: scores * q, v: 2 * norm(dOut) };
    },
    depth: shape.headDim,
  };
}

const attentionCases: Case[] = [
  {
    name: "attentionBackward 260, 2/1 heads of 3: the gradients of attention over several blocks of queries on every engine",
    run: (t) => checkGradients(t, attentionTwin(t, 260, shapeOf(2, 1, 3)), "dense"),
  },
  ...attentions.flatMap(([n, nHeads, nKvHeads, headDim]) =>
    layouts.map((layout: Layout) => ({
      name: `attentionBackward ${n}, ${nHeads}/${nKvHeads} heads of ${headDim}, ${layout}: the gradients of attention`,
      run: (t: Trial) => checkGradients(t, attentionTwin(t, n, shapeOf(nHeads, nKvHeads, headDim)), layout),
    })),
  ),
  {
    name: "attentionBackward does not look ahead: later keys, values and slopes change no bit of an earlier query's gradient",
    run(t) {
      const shape = shapeOf(2, 1, 16);
      const given = attentionTwin(t, 70, shape).inputs;
      const dOut = t.normal(70, 32);
      const run = (change: (p: Plain) => Plain) => {
        const [q, k, v] = [t.matrix(given.q), t.matrix(change(given.k)), t.matrix(change(given.v))];
        const [out, dQ, dK, dV] = [t.blank(70, 32), t.blank(70, 32), t.blank(70, 16), t.blank(70, 16)];
        t.engine.attention(q, k, v, shape, out);
        t.engine.attentionBackward(q, k, v, shape, out, t.matrix(change(dOut)), dQ, dK, dV);
        return bytesOf(t.engine.read(dQ.view(0, 0, 66, 32)));
      };
      const other = (p: Plain) => plain(p.rows, p.cols, (i, j) => (i < 66 ? p.values[i * p.cols + j] : i + j));
      expect(run(other)).toEqual(run((p) => p));
    },
  },
  {
    name: "attentionBackward with scores of ±10000 stays finite",
    run(t) {
      const along = (values: readonly number[]) => plain(5, 8, (i, d) => (d === 0 ? values[i] : 0));
      const shape = { nHeads: 1, nKvHeads: 1, headDim: 8, scale: 1 };
      const [q, k] = [along([100, 100, 100, 100, 100]), along([0, -100, 100, -100, 0])].map((p) => t.matrix(p));
      const [v, dOut, out] = [t.matrix(t.normal(5, 8)), t.matrix(t.normal(5, 8)), t.blank(5, 8)];
      const gradients = [t.blank(5, 8), t.blank(5, 8), t.blank(5, 8)] as const;
      t.engine.attention(q, k, v, shape, out);
      t.engine.attentionBackward(q, k, v, shape, out, dOut, ...gradients);
      const taken = t.plain(dOut).values;
      const dV = t.plain(gradients[2]);
      for (const m of gradients) expect(t.engine.read(m).every(Number.isFinite)).toBe(true);
      const sum = plain(1, 8, (_, d) => taken[16 + d] + taken[24 + d] + taken[32 + d]);
      t.near({ ...sum, values: dV.values.slice(16, 24) }, sum, norm(sum) + 1, 3);
    },
  },
];

export const backwardCases: readonly Case[] = [...norms, ...gates, ...attentionCases];
