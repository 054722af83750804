import { expect } from "bun:test";
import { type AdamWStep, type Engine, openReference } from "@safedelta/engine";
import { norm, type Plain, plain, plainOf } from "../../support/plain.ts";
import { difference, inner } from "../gradients.ts";
import { bytesOf, type Case, type Layout, layouts, type Trial } from "../trial.ts";

/** Rows and vocabulary. */
const shapes = [
  [1, 1],
  [1, 130],
  [5, 3],
  [17, 64],
  [33, 97],
  [131, 16],
  [3, 5000],
] as const;

/** Targets of which every third does not count. */
function targetsOf(t: Trial, rows: number, vocabulary: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, i) => (i % 3 === 1 ? -1 : t.random.int(0, vocabulary)));
}

function lossOf(t: Trial, logits: Plain, targets: Int32Array, layout: Layout = "dense"): [number, Plain] {
  const out = t.blank(logits.rows, logits.cols, layout);
  const loss = t.engine.softmaxCrossEntropy(t.matrix(logits, layout), targets, out);
  return [loss, t.plain(out)];
}

/** Loss and gradient by their definition, in f64. */
function defined(logits: Plain, targets: Int32Array): [number, Plain] {
  let loss = 0;
  const rows = Array.from(targets, (target, i) => {
    const row = logits.values.subarray(i * logits.cols, (i + 1) * logits.cols);
    const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const total = row.reduce((sum, x) => sum + Math.exp(x - top), 0);
    if (target >= 0) loss += top + Math.log(total) - row[target];
    return [...row].map((x, j) => (target < 0 ? 0 : Math.exp(x - top) / total - (j === target ? 1 : 0)));
  });
  return [loss, plainOf(logits.rows, logits.cols, rows.flat())];
}

const losses: Case[] = [
  ...layouts.map((layout) => ({
    name: `softmaxCrossEntropy as defined, some rows not counted, ${layout}`,
    run(t: Trial) {
      for (const [rows, vocabulary] of shapes) {
        const [logits, targets] = [t.normal(rows, vocabulary, 3), targetsOf(t, rows, vocabulary)];
        const [loss, gradient] = lossOf(t, logits, targets, layout);
        const [expectedLoss, expected] = defined(logits, targets);
        t.near(gradient, expected, Math.sqrt(rows) * 4, Math.log2(vocabulary) + 8);
        t.near(plainOf(1, 1, [loss]), plainOf(1, 1, [expectedLoss]), expectedLoss + 4 * rows, 16);
      }
    },
  })),
  {
    name: "softmaxCrossEntropy: the gradient is that of the loss it returns",
    run(t) {
      const [logits, targets, direction] = [t.normal(7, 40, 2), targetsOf(t, 7, 40), t.normal(7, 40)];
      using oracle = openReference(); // a difference needs f64
      const [m, out] = [oracle.alloc(7, 40), oracle.alloc(7, 40)];
      oracle.write(m, Float32Array.from(logits.values));
      const measured = difference(oracle, m, direction, () => oracle.softmaxCrossEntropy(m, targets, out));
      const gradient = lossOf(t, logits, targets)[1];
      const allowed = 2e-7 + 16 * t.unit;
      expect(Math.abs(measured - inner(gradient, direction))).toBeLessThan(allowed * norm(gradient) * norm(direction));
    },
  },
  {
    name: "softmaxCrossEntropy in place gives the same bytes and the same loss",
    run(t) {
      const [logits, targets] = [t.matrix(t.normal(20, 61, 3), "view"), targetsOf(t, 20, 61)];
      const out = t.blank(20, 61);
      const loss = t.engine.softmaxCrossEntropy(logits, targets, out);
      const expected = bytesOf(t.engine.read(out));
      expect(t.engine.softmaxCrossEntropy(logits, targets, logits)).toBe(loss);
      expect(bytesOf(t.engine.read(logits))).toEqual(expected);
    },
  },
  {
    name: "softmaxCrossEntropy: rows that do not count are zero, whatever they hold; no rows have no loss",
    run(t) {
      const logits = t.matrix(plain(3, 9, (i, j) => (i === 1 ? Number.NaN : j)));
      const some = t.engine.softmaxCrossEntropy(logits, Int32Array.of(2, -1, 4), logits);
      expect(Number.isFinite(some)).toBe(true);
      expect(t.engine.read(logits.view(1, 0, 1, 9)).every((x) => x === 0)).toBe(true);
      expect(t.engine.softmaxCrossEntropy(logits, Int32Array.of(-1, -1, -1), logits)).toBe(0);
      expect(t.engine.read(logits).every((x) => x === 0)).toBe(true);
      const none = t.alloc(0, 9);
      expect(t.engine.softmaxCrossEntropy(none, new Int32Array(0), none)).toBe(0);
    },
  },
  {
    name: "softmaxCrossEntropy of equal logits is log(vocabulary); far apart ones stay finite",
    run(t) {
      const even = plain(4, 1000, () => -3e4);
      const [loss] = lossOf(t, even, Int32Array.of(0, 1, 999, 5));
      t.near(plainOf(1, 1, [loss]), plainOf(1, 1, [4 * Math.log(1000)]), 40, 4);
      const far = plain(2, 3, (i, j) => (j === 0 ? 1e4 : -1e4 * i));
      const [apart, gradient] = lossOf(t, far, Int32Array.of(0, 1));
      t.near(plainOf(1, 1, [apart]), plainOf(1, 1, [2e4]), 2e4, 1);
      const exact = [0, 0, 0, 1, -1, 0];
      t.near(gradient, plainOf(2, 3, exact), 1, 1);
    },
  },
];

/** What the sums must be, each rounded as the engine rounds. */
function added(e: Engine, src: Plain, rows: Int32Array, dst: Plain): Plain {
  const round = e.info.name === "reference" ? (x: number) => x : Math.fround;
  const values = Float64Array.from(dst.values);
  rows.forEach((row, i) => {
    for (let j = 0; j < src.cols; j++) {
      values[row * src.cols + j] = round(values[row * src.cols + j] + src.values[i * src.cols + j]);
    }
  });
  return { ...dst, values };
}

const sums: Case[] = [
  ...layouts.map((layout) => ({
    name: `scatterAdd adds in order, rows that come again too, bit by bit, ${layout}`,
    run(t: Trial) {
      for (const [count, rows, cols] of [
        [0, 3, 5],
        [1, 1, 1],
        [40, 7, 3],
        [97, 130, 64],
        [300, 5, 131],
      ]) {
        const [src, dst] = [t.normal(count, cols, 1e4), t.normal(rows, cols)];
        const chosen = Int32Array.from({ length: count }, () => t.random.int(0, rows));
        const m = t.matrix(dst, layout);
        t.engine.scatterAdd(t.matrix(src, layout), chosen, m);
        const expected = Float32Array.from(added(t.engine, src, chosen, dst).values);
        expect(bytesOf(t.engine.read(m))).toEqual(bytesOf(expected));
      }
    },
  })),
  {
    name: "scatterAdd of each row once is add",
    run(t) {
      const [src, dst] = [t.normal(33, 20), t.normal(33, 20)];
      const [one, two] = [t.matrix(dst), t.matrix(dst)];
      t.engine.scatterAdd(
        t.matrix(src),
        Int32Array.from({ length: 33 }, (_, i) => i),
        one,
      );
      t.engine.add(1, t.matrix(src), two);
      expect(bytesOf(t.engine.read(one))).toEqual(bytesOf(t.engine.read(two)));
    },
  },
];

const usual: AdamWStep = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, step: 1, scale: 1 };

/** Parameters of one run: they are changed. */
interface State {
  p: Plain;
  m: Plain;
  v: Plain;
}

/** One step by its definition, in f64. */
function stepped({ p, m, v }: State, grad: Plain, s: AdamWStep): State {
  const map = (f: (at: number) => number): Plain => ({ ...p, values: p.values.map((_, at) => f(at)) });
  const g = (at: number) => s.scale * grad.values[at];
  const nextM = map((at) => s.beta1 * m.values[at] + (1 - s.beta1) * g(at));
  const nextV = map((at) => s.beta2 * v.values[at] + (1 - s.beta2) * g(at) ** 2);
  const next = map((at) => {
    const mHat = nextM.values[at] / (1 - s.beta1 ** s.step);
    const vHat = nextV.values[at] / (1 - s.beta2 ** s.step);
    return p.values[at] * (1 - s.lr * s.weightDecay) - (s.lr * mHat) / (Math.sqrt(vHat) + s.eps);
  });
  return { p: next, m: nextM, v: nextV };
}

const settings: Record<string, Partial<AdamWStep>> = {
  "as is usual": {},
  "a large decay": { weightDecay: 3, lr: 0.1 },
  "no decay, scaled gradients": { weightDecay: 0, scale: 0.125 },
  "other moments and a large eps": { beta1: 0.5, beta2: 0.9, eps: 0.1 },
  "no memory": { beta1: 0, beta2: 0 },
};

const optimisers: Case[] = [
  ...layouts.flatMap((layout) =>
    Object.entries(settings).map(([name, changed]) => ({
      name: `adamW for five steps as defined: ${name}, ${layout}`,
      run(t: Trial) {
        for (const [rows, cols] of [
          [1, 1],
          [5, 3],
          [33, 97],
        ]) {
          const zero = plain(rows, cols, () => 0);
          let state: State = { p: t.normal(rows, cols), m: zero, v: zero };
          const [P, M, V] = [state.p, zero, zero].map((p) => t.matrix(p, layout));
          for (let step = 1; step <= 5; step++) {
            const [grad, s] = [t.normal(rows, cols, 10), { ...usual, ...changed, step }];
            t.engine.adamW(P, t.matrix(grad, layout), M, V, s);
            state = stepped(state, grad, s);
          }
          t.near(t.plain(P), state.p, norm(state.p) + norm(zero), 16);
          t.near(t.plain(M), state.m, norm(state.m), 16);
          t.near(t.plain(V), state.v, norm(state.v), 16);
        }
      },
    })),
  ),
  {
    name: "adamW on bf16: the step in f32, rounded once to nearest even",
    run(t) {
      const [rows, cols] = [33, 31];
      const [start, grad] = [t.normal(rows, cols), t.normal(rows, cols)];
      const step: AdamWStep = { ...usual, lr: 0.013 };
      const found = t.engine;
      using oracle = openReference();
      const run = (e: Engine, dtype: "f32" | "bf16") => {
        const [wide, p] = [e.alloc(rows, cols), e.alloc(rows, cols, "bf16")];
        e.write(wide, Float32Array.from(start.values));
        e.convert(wide, p);
        e.convert(p, wide);
        const [g, m, v] = [e.alloc(rows, cols), e.alloc(rows, cols), e.alloc(rows, cols)];
        e.write(g, Float32Array.from(grad.values));
        e.adamW(dtype === "f32" ? wide : p, g, m, v, step);
        if (dtype === "f32") e.convert(wide, p);
        const patterns = e.read(p);
        for (const one of [wide, p, g, m, v]) one[Symbol.dispose]();
        return patterns;
      };
      expect(run(found, "bf16")).toEqual(run(found, "f32"));
      const [here, there] = [run(found, "bf16"), run(oracle, "bf16")];
      const apart = here.filter((pattern, i) => pattern !== there[i]).length;
      expect(apart).toBeLessThanOrEqual(rows * cols * 0.01); // numbers that lie between two patterns but for f32's rounding
      expect(here.every((pattern, i) => Math.abs(pattern - there[i]) <= 1)).toBe(true);
    },
  },
  {
    name: "adamW with a zero gradient from the start only decays",
    run(t) {
      const p = t.normal(9, 11);
      const [P, g, m, v] = [t.matrix(p), t.alloc(9, 11), t.alloc(9, 11), t.alloc(9, 11)];
      t.engine.adamW(P, g, m, v, { ...usual, lr: 0.5, weightDecay: 0.5 });
      t.near(t.plain(P), { ...p, values: p.values.map((x) => 0.75 * x) }, norm(p), 1);
    },
  },
];

export const trainingCases: readonly Case[] = [...losses, ...sums, ...optimisers];
