import { expect } from "bun:test";
import { type Engine, EngineMemoryError, type Matrix, type Values } from "@safedelta/engine";
import { bytesOf, type Case, leastBytes, Trial, thrownBy } from "../trial.ts";
import { definite } from "./triangular.ts";

const life: Case[] = [
  {
    name: "bytesInUse grows with each matrix, returns to the start; peakBytes keeps the most",
    run({ engine }) {
      const start = engine.bytesInUse;
      const first = engine.alloc(100, 70);
      const between = engine.bytesInUse;
      const second = engine.alloc(33, 5, "bf16");
      const most = engine.bytesInUse;
      expect(between - start).toBeGreaterThanOrEqual(leastBytes(100, 70, "f32"));
      expect(most - between).toBeGreaterThanOrEqual(leastBytes(33, 5, "bf16"));
      expect(engine.peakBytes).toBeGreaterThanOrEqual(most);
      first[Symbol.dispose]();
      expect(engine.bytesInUse).toBeLessThanOrEqual(most - leastBytes(100, 70, "f32"));
      second[Symbol.dispose]();
      expect(engine.bytesInUse).toBe(start);
    },
  },
  {
    name: "disposing a view is a no-op, disposing twice frees once",
    run(t) {
      const m = t.engine.alloc(5, 7);
      const start = t.engine.bytesInUse;
      const view = m.view(1, 2, 3, 4);
      expect(t.engine.bytesInUse).toBe(start);
      view[Symbol.dispose]();
      view.view(0, 0, 1, 1)[Symbol.dispose]();
      expect(t.engine.bytesInUse).toBe(start);
      t.engine.fill(view, 2);
      expect(t.engine.read(m).filter((value) => value === 2).length).toBe(12);
      const other = t.alloc(5, 7);
      m[Symbol.dispose]();
      const freed = t.engine.bytesInUse;
      m[Symbol.dispose]();
      expect(t.engine.bytesInUse).toBe(freed);
      expect(t.engine.read(other).length).toBe(35);
    },
  },
  {
    name: "a new matrix is zero, whatever lay there before",
    run({ engine }) {
      const sizes = [61, 301]; // engines may keep what was large for the next one of its size
      for (const [rows, dtype] of sizes.flatMap((n) => (["f32", "f16", "bf16"] as const).map((d) => [n, d] as const))) {
        for (let round = 0; round < 3; round++) {
          using m = engine.alloc(rows, 307, dtype);
          expect(engine.read(m).every((value) => Object.is(value, 0))).toBe(true);
          engine.fill(m, Number.NaN);
        }
      }
    },
  },
  {
    name: "many matrices of many sizes live side by side and come and go",
    run(t) {
      const live: { m: Matrix; value: number }[] = [];
      const expectAll = () => live.every(({ m, value }) => t.engine.read(m).every((x) => x === value));
      for (let value = 1; value <= 120; value++) {
        const m = t.engine.alloc(t.random.int(1, 90), t.random.int(1, 90));
        t.engine.fill(m, value);
        live.push({ m, value });
        if (value % 3 === 0) live.splice(t.random.int(0, live.length), 1)[0].m[Symbol.dispose]();
        if (value % 40 === 0) expect(expectAll()).toBe(true);
      }
      for (const { m } of live) m[Symbol.dispose]();
    },
  },
  {
    name: "matrices without rows or columns",
    run(t) {
      for (const [rows, cols] of [
        [0, 5],
        [5, 0],
        [0, 0],
      ]) {
        const m = t.alloc(rows, cols);
        expect([m.rows, m.cols, t.engine.read(m).length]).toEqual([rows, cols, 0]);
        t.engine.write(m, new Float32Array(0));
        t.engine.fill(m, 1);
      }
      const view = t.alloc(4, 4).view(4, 4, 0, 0);
      expect(t.engine.read(view).length).toBe(0);
      expect([...t.engine.columnSquares(t.alloc(0, 3))]).toEqual([0, 0, 0]);
    },
  },
  {
    name: "an empty view overlaps nothing, wherever it lies",
    run(t) {
      const m = t.matrix(t.normal(6, 6));
      const before = t.engine.read(m);
      const whole = m.view(0, 0, 6, 6);
      for (const [row, col, rows, cols] of [
        [3, 0, 0, 6],
        [0, 2, 6, 0],
        [6, 6, 0, 0],
      ]) {
        const empty = m.view(row, col, rows, cols);
        const all = Int32Array.from({ length: 6 }, (_, i) => i);
        t.engine.scatter(empty, rows === 0 ? new Int32Array(0) : all, cols === 0 ? new Int32Array(0) : all, whole);
        t.engine.gather(whole, rows === 0 ? new Int32Array(0) : all, cols === 0 ? new Int32Array(0) : all, empty);
      }
      t.engine.gemm(1, m.view(0, 2, 6, 0), false, m.view(4, 0, 0, 6), false, 1, whole); // a sum of no products
      t.engine.syrk(1, m.view(3, 0, 0, 6), 1, whole);
      t.engine.trmm(m.view(2, 0, 0, 6), whole, false);
      expect(t.engine.read(m)).toEqual(before);
    },
  },
  {
    name: "handles tell their shape, stride and dtype",
    run(t) {
      const m = t.alloc(6, 9, "f16");
      const inner = m.view(1, 2, 4, 5).view(1, 1, 2, 3);
      expect([m.rows, m.cols, m.dtype]).toEqual([6, 9, "f16"]);
      expect([inner.rows, inner.cols, inner.stride, inner.dtype]).toEqual([2, 3, m.stride, "f16"]);
      t.engine.write(inner, Uint16Array.of(1, 2, 3, 4, 5, 6));
      const all = t.engine.read(m);
      expect([all[2 * 9 + 3], all[2 * 9 + 5], all[3 * 9 + 3]]).toEqual([1, 3, 4]);
    },
  },
  {
    name: "a matrix beyond all memory is an EngineMemoryError, and the engine goes on",
    run(t) {
      const start = t.engine.bytesInUse;
      const error = thrownBy(() => t.engine.alloc(2 ** 31 - 1, 2 ** 31 - 1));
      if (!(error instanceof EngineMemoryError)) throw new Error(`expected EngineMemoryError, got ${error}`);
      expect(error.operation).toBe("alloc");
      expect(error.neededBytes).toBeGreaterThanOrEqual(leastBytes(2 ** 31 - 1, 2 ** 31 - 1, "f32"));
      expect(t.engine.bytesInUse).toBe(start);
      expect(t.engine.read(t.alloc(2, 2)).length).toBe(4);
    },
  },
  {
    name: "matrices larger than any buffer on the way come back, dense and as views, odd sizes too",
    run(t) {
      const count = (rows: number, cols: number) => Float32Array.from({ length: rows * cols }, (_, i) => i % 8191);
      for (const [rows, cols] of [
        [1, 5_000_003],
        [4101, 4099],
      ]) {
        const outer = t.alloc(rows + 1, cols + 3);
        const inner = outer.view(1, 3, rows, cols);
        const values = count(rows, cols);
        t.engine.write(inner, values);
        expect(Buffer.compare(bytesOf(t.engine.read(inner)), bytesOf(values))).toBe(0);
        expect(t.engine.read(outer.view(0, 0, 1, cols)).every((value) => value === 0)).toBe(true);
        outer[Symbol.dispose]();
      }
    },
  },
  {
    name: "values read and written are copies",
    run(t) {
      const values = Float32Array.of(1, 2, 3);
      const m = t.raw(1, 3, values, "f32");
      values[0] = 9;
      const first = t.engine.read(m);
      first[1] = 9;
      t.engine.fill(t.alloc(300, 300), 1);
      expect([...first]).toEqual([1, 9, 3]);
      expect([...t.engine.read(m)]).toEqual([1, 2, 3]);
    },
  },
];

type Results = (Values | Float64Array)[];

/** Computations from the trial's random numbers whose bytes must not differ between two runs. */
const computations: Record<string, (t: Trial) => Results> = {
  gemm(t) {
    const [A, B, C] = [t.matrix(t.normal(97, 130)), t.matrix(t.normal(130, 64)), t.blank(97, 64)];
    t.engine.gemm(1, A, false, B, false, 0, C);
    return [t.engine.read(C)];
  },
  "choleskyReverse, invertTriangle, trmm, trsm": (t) => {
    const [H, B] = [t.matrix(definite(t, 130)), t.matrix(t.normal(33, 130))];
    t.engine.choleskyReverse(H);
    t.engine.trsm(B, H, true);
    t.engine.invertTriangle(H);
    t.engine.trmm(B, H, false);
    return [t.engine.read(H), t.engine.read(B)];
  },
  eigh(t) {
    const { values, vectors } = t.engine.eigh(t.matrix(t.normal(64, 64)));
    return [values, t.engine.read(t.adopt(vectors))];
  },
  columnSquares: (t) => [t.engine.columnSquares(t.matrix(t.normal(130, 33)))],
  attention(t) {
    const [q, k, v] = [t.matrix(t.normal(33, 64)), t.matrix(t.normal(40, 32)), t.matrix(t.normal(40, 32))];
    const out = t.blank(33, 64);
    t.engine.attention(q, k, v, { nHeads: 4, nKvHeads: 2, headDim: 16, scale: 0.25 }, out);
    return [t.engine.read(out)];
  },
};

/** The bytes of one computation, begun from the same seed each time. */
function once(engine: Engine, compute: (t: Trial) => Results): Uint8Array[] {
  const trial = new Trial(engine);
  const bytes = compute(trial).map(bytesOf);
  trial.finish();
  return bytes;
}

const repeats: Case[] = Object.entries(computations).map(([name, compute]) => ({
  name: `the same input gives the same bytes: ${name}`,
  run({ engine }) {
    const first = once(engine, compute);
    using _between = engine.alloc(37, 41); // other addresses the second time
    expect(once(engine, compute)).toEqual(first);
  },
}));

export const memoryCases: readonly Case[] = [...life, ...repeats];
