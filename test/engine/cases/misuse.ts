import { expect } from "bun:test";
import type { Engine, Matrix } from "@safedelta/engine";
import { bytesOf, type Case, type Trial } from "../trial.ts";

/** A right call of every operation on the given f32 4 x 4 matrix. */
const uses: Record<string, (e: Engine, m: Matrix) => unknown> = {
  view: (_, m) => m.view(0, 0, 1, 1),
  write: (e, m) => e.write(m, new Float32Array(16)),
  read: (e, m) => e.read(m),
  convert: (e, m) => e.convert(m, m),
  fill: (e, m) => e.fill(m, 1),
  gemm: (e, m) => lend(e, (c) => e.gemm(1, m, false, m, false, 0, c)),
  syrk: (e, m) => lend(e, (c) => e.syrk(1, m, 0, c)),
  mirror: (e, m) => e.mirror(m),
  choleskyReverse: (e, m) => e.choleskyReverse(m),
  invertTriangle: (e, m) => e.invertTriangle(m),
  trmm: (e, m) => lend(e, (b) => e.trmm(b, m, false)),
  trsm: (e, m) => lend(e, (b) => e.trsm(b, m, false)),
  eigh: (e, m) => e.eigh(m).vectors[Symbol.dispose](),
  add: (e, m) => e.add(1, m, m),
  scaleCols: (e, m) => e.scaleCols(m, new Float32Array(4)),
  columnSquares: (e, m) => e.columnSquares(m),
  gather: (e, m) => lend(e, (c) => e.gather(m, null, null, c)),
  scatter: (e, m) => lend(e, (c) => e.scatter(m, null, null, c)),
  rmsNorm: (e, m) => lend(e, (c) => e.rmsNorm(m, c.view(0, 0, 1, 4), 1, 0, m)),
  addBias: (e, m) => lend(e, (c) => e.addBias(m, c.view(0, 0, 1, 4))),
  rotary: (e, m) => lend(e, (c) => e.rotary(m, c.view(0, 0, 4, 1), c.view(0, 1, 4, 1), 2)),
  attention: (e, m) => lend(e, (c) => e.attention(m, m, m, { nHeads: 1, nKvHeads: 1, headDim: 4, scale: 1 }, c)),
  gatedActivation: (e, m) => e.gatedActivation("silu", m, m),
  softmaxCrossEntropy: (e, m) => e.softmaxCrossEntropy(m, Int32Array.of(0, 1, 2, 3), m),
  rmsNormBackward: (e, m) =>
    lend(e, (c) => lend(e, (d) => e.rmsNormBackward(m, c.view(0, 0, 1, 4), 1, 0, m, m, d.view(0, 0, 1, 4)))),
  attentionBackward: (e, m) => {
    const shape = { nHeads: 1, nKvHeads: 1, headDim: 4, scale: 1 };
    lend(e, (a) => lend(e, (b) => lend(e, (c) => e.attentionBackward(m, m, m, shape, m, m, a, b, c))));
  },
  gatedActivationBackward: (e, m) => lend(e, (c) => e.gatedActivationBackward("silu", m, m, m, m, c)),
  scatterAdd: (e, m) => lend(e, (c) => e.scatterAdd(m, Int32Array.of(0, 1, 1, 3), c)),
  adamW: (e, m) => {
    const step = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step: 1, scale: 1 };
    lend(e, (a) => lend(e, (b) => lend(e, (c) => e.adamW(m, a, b, c, step))));
  },
};

/** Lend a live 4 x 4 matrix. */
function lend(e: Engine, call: (m: Matrix) => unknown): unknown {
  using m = e.alloc(4, 4);
  return call(m);
}

/** The identity, which every operation accepts. */
function identity(engine: Engine): Matrix {
  const m = engine.alloc(4, 4);
  engine.write(m, Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1));
  return m;
}

const lifetimes: Case[] = Object.entries(uses).flatMap(([operation, use]) => [
  {
    name: `${operation} accepts a live matrix and refuses a disposed one`,
    run(t: Trial) {
      const m = t.adopt(identity(t.engine));
      const view = m.view(0, 0, 4, 4);
      use(t.engine, m);
      m[Symbol.dispose]();
      t.rejects(operation, () => use(t.engine, m));
      t.rejects(operation, () => use(t.engine, view));
    },
  },
  {
    name: `${operation} refuses a matrix of another engine or of a disposed one`,
    async run(t: Trial, open: () => Promise<Engine>) {
      const other = await open();
      const foreign = identity(other);
      if (operation !== "view") t.rejects(operation, () => use(t.engine, foreign)); // a view asks only its own engine
      other[Symbol.dispose]();
      t.rejects(operation, () => use(t.engine, foreign));
    },
  },
]);

const ends: Case[] = [
  {
    name: "a disposed engine holds nothing and gives nothing",
    async run(t, open) {
      const other = await open();
      const m = identity(other);
      other[Symbol.dispose]();
      expect(other.bytesInUse).toBe(0);
      t.rejects("alloc", () => other.alloc(1, 1));
      t.rejects("read", () => other.read(m));
      m[Symbol.dispose]();
      other[Symbol.dispose]();
      expect(other.bytesInUse).toBe(0);
    },
  },
  {
    name: "a refused call leaves its matrices as they were",
    run(t) {
      const [B, R] = [t.matrix(t.normal(3, 4)), t.matrix(t.normal(4, 4))];
      const before = [t.engine.read(B), t.engine.read(R)].map(bytesOf);
      t.rejects("trmm", () => t.engine.trmm(B, R.view(0, 0, 3, 3), false));
      t.rejects("gemm", () => t.engine.gemm(1, B, false, R, false, 0, R));
      expect([t.engine.read(B), t.engine.read(R)].map(bytesOf)).toEqual(before);
    },
  },
];

export const misuseCases: readonly Case[] = [...lifetimes, ...ends];
