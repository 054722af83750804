import type { Engine, Matrix } from "../engine.ts";
import { definite, numbers, type Operation, random, triangle } from "./inputs.ts";
import { trainingOperations } from "./training.ts";

/** Rows beside n columns. */
const rows = 37;

function product(transA: boolean, transB: boolean): Operation {
  return (e, n) => {
    const a = transA ? random(e, n, rows, 1) : random(e, rows, n, 1);
    const b = transB ? random(e, n + 3, n, 2) : random(e, n, n + 3, 2);
    const c = random(e, rows, n + 3, 3);
    e.gemm(0.5, a, transA, b, transB, -1, c);
    return [e.read(c)];
  };
}

function triangular(name: "trmm" | "trsm", transR: boolean): Operation {
  return (e, n) => {
    const b = random(e, rows, n, 4);
    e[name](b, triangle(e, n, 5), transR);
    return [e.read(b)];
  };
}

/** Every 16-bit pattern that is a number, there and back. */
function halves(dtype: "f16" | "bf16"): Operation {
  return (e) => {
    const [half, wide, back] = [e.alloc(256, 256, dtype), e.alloc(256, 256), e.alloc(256, 256, dtype)];
    const largest = dtype === "f16" ? 0x7c00 : 0x7f80;
    const patterns = Uint16Array.from({ length: 65536 }, (_, i) => ((i & 0x7fff) >= largest ? 0 : i));
    e.write(half, patterns);
    e.convert(half, wide);
    e.convert(wide, back);
    return [e.read(wide), e.read(back)];
  };
}

function attend(past: number): Operation {
  return (e, n) => {
    const [q, k, v] = [random(e, n, 64, 6), random(e, past + n, 32, 7), random(e, past + n, 32, 8)];
    const out = e.alloc(n, 64);
    e.attention(q, k, v, { nHeads: 4, nKvHeads: 2, headDim: 16, scale: 0.25 }, out);
    return [e.read(out)];
  };
}

/** Change a random rows x n matrix. */
function changing(change: (e: Engine, m: Matrix, n: number) => void): Operation {
  return (e, n) => {
    const m = random(e, rows, n, 9);
    change(e, m, n);
    return [e.read(m)];
  };
}

/** Every second index, backwards. */
function someOf(n: number): Int32Array {
  return Int32Array.from({ length: Math.ceil(n / 2) }, (_, i) => 2 * i).reverse();
}

/** Every operation of the contract. */
export const operations: Readonly<Record<string, Operation>> = {
  gemm: product(false, false),
  "gemm, A transposed": product(true, false),
  "gemm, B transposed": product(false, true),
  "gemm, both transposed": product(true, true),
  "syrk and mirror": (e, n) => [e.read(definite(e, n, 10))],
  choleskyReverse: (e, n) => [e.read(triangle(e, n, 11))],
  invertTriangle: (e, n) => {
    const r = triangle(e, n, 12);
    e.invertTriangle(r);
    return [e.read(r)];
  },
  trmm: triangular("trmm", false),
  "trmm, R transposed": triangular("trmm", true),
  trsm: triangular("trsm", false),
  "trsm, R transposed": triangular("trsm", true),
  eigh: (e, n) => {
    const h = definite(e, n, 13);
    const { values, vectors } = e.eigh(h);
    const scaled = e.alloc(n, n);
    e.convert(vectors, scaled);
    e.scaleCols(scaled, Float32Array.from(values));
    e.gemm(1, scaled, false, vectors, true, 0, h);
    return [values, e.read(h)];
  },
  "convert f16": halves("f16"),
  "convert bf16": halves("bf16"),
  add: changing((e, m, n) => e.add(-0.5, random(e, rows, n, 14), m)),
  fill: changing((e, m, n) => e.fill(m.view(1, 0, rows - 1, n), 0.1)),
  scaleCols: changing((e, m, n) => e.scaleCols(m, numbers(n, 15))),
  columnSquares: (e, n) => [e.columnSquares(random(e, 300, n, 16))],
  gather: (e, n) => {
    const to = e.alloc(someOf(rows).length, someOf(n).length);
    e.gather(random(e, rows, n, 17), someOf(rows), someOf(n), to);
    return [e.read(to)];
  },
  scatter: changing((e, m, n) => e.scatter(random(e, rows, someOf(n).length, 18), null, someOf(n), m)),
  rmsNorm: changing((e, m, n) => e.rmsNorm(m, random(e, 1, n, 19), 1e-6, 1, m)),
  addBias: changing((e, m, n) => e.addBias(m, random(e, 1, n, 20))),
  rotary: (e, n) => {
    const x = random(e, n, 48, 21);
    e.rotary(x, random(e, n, 8, 22), random(e, n, 8, 23), 16);
    return [e.read(x)];
  },
  attention: attend(0),
  "attention after a past": attend(300),
  ...trainingOperations,
  "gated by silu": changing((e, m, n) => e.gatedActivation("silu", m, random(e, rows, n, 24))),
  "gated by gelu": changing((e, m, n) => e.gatedActivation("geluTanh", m, random(e, rows, n, 25))),
};
