import type { Case } from "../trial.ts";
import { attentionShape, ids, itself, overlapping, refusals, type WrongCalls } from "../wrongCall.ts";

/** Calls that every engine must refuse, by operation. Each differs from a right call in one thing. */
const wrongCalls: WrongCalls = {
  alloc: {
    "negative rows": ({ e }) => e.alloc(-1, 2),
    "fractional columns": ({ e }) => e.alloc(2, 1.5),
    "NaN rows": ({ e }) => e.alloc(Number.NaN, 2),
    "rows beyond int32": ({ e }) => e.alloc(2 ** 31, 0),
  },
  view: {
    "rows outside": ({ f }) => f(4, 5).view(2, 0, 3, 5),
    "columns outside": ({ f }) => f(4, 5).view(0, 5, 4, 1),
    "negative row": ({ f }) => f(4, 5).view(-1, 0, 2, 2),
    "negative size": ({ f }) => f(4, 5).view(0, 0, 2, -1),
    "fractional column": ({ f }) => f(4, 5).view(0, 0.5, 2, 2),
    "outside a view though inside its owner": ({ f }) => f(4, 5).view(0, 0, 2, 2).view(0, 0, 3, 2),
  },
  write: {
    "too few values": ({ e, f }) => e.write(f(2, 3), new Float32Array(5)),
    "too many values": ({ e, f }) => e.write(f(2, 3), new Float32Array(7)),
    "patterns into f32": ({ e, f }) => e.write(f(2, 3), new Uint16Array(6)),
    "f32 into patterns": ({ e, h }) => e.write(h(2, 3), new Float32Array(6)),
  },
  convert: {
    "another shape": ({ e, f, h }) => e.convert(f(2, 3), h(3, 2)),
    "a shifted part of itself": ({ e, f }) => overlapping(f, (a, b) => e.convert(a, b)),
  },
  gemm: {
    "inner sizes": ({ e, f }) => e.gemm(1, f(2, 3), false, f(4, 5), false, 0, f(2, 5)),
    "inner sizes, A transposed": ({ e, f }) => e.gemm(1, f(2, 3), true, f(3, 5), false, 0, f(3, 5)),
    "inner sizes, B transposed": ({ e, f }) => e.gemm(1, f(2, 3), false, f(3, 5), true, 0, f(2, 5)),
    "rows of C": ({ e, f }) => e.gemm(1, f(2, 3), false, f(3, 5), false, 0, f(3, 5)),
    "columns of C": ({ e, f }) => e.gemm(1, f(2, 3), false, f(3, 5), false, 0, f(2, 4)),
    "16-bit A": ({ e, f, h }) => e.gemm(1, h(2, 3), false, f(3, 5), false, 0, f(2, 5)),
    "16-bit B": ({ e, f, h }) => e.gemm(1, f(2, 3), false, h(3, 5), false, 0, f(2, 5)),
    "16-bit C": ({ e, f, h }) => e.gemm(1, f(2, 3), false, f(3, 5), false, 0, h(2, 5)),
    "C overlaps A": ({ e, f }) => overlapping(f, (a, c) => e.gemm(1, a, false, f(3, 3), false, 0, c)),
    "C overlaps B": ({ e, f }) => overlapping(f, (b, c) => e.gemm(1, f(3, 3), false, b, false, 0, c)),
    "C is A": ({ e, f }) => itself(f(3, 3), (a) => e.gemm(1, a, false, f(3, 3), false, 1, a)),
  },
  syrk: {
    "C not square": ({ e, f }) => e.syrk(1, f(2, 3), 0, f(3, 2)),
    "C of A's rows": ({ e, f }) => e.syrk(1, f(2, 3), 0, f(2, 2)),
    "16-bit A": ({ e, f, h }) => e.syrk(1, h(2, 3), 0, f(3, 3)),
    "16-bit C": ({ e, f, h }) => e.syrk(1, f(2, 3), 0, h(3, 3)),
    "C overlaps A": ({ e, f }) => overlapping(f, (a, c) => e.syrk(1, a, 0, c)),
  },
  mirror: {
    "not square": ({ e, f }) => e.mirror(f(2, 3)),
    "16-bit": ({ e, h }) => e.mirror(h(2, 2)),
  },
  choleskyReverse: {
    "not square": ({ e, f }) => e.choleskyReverse(f(3, 2)),
    "16-bit": ({ e, h }) => e.choleskyReverse(h(2, 2)),
  },
  invertTriangle: {
    "not square": ({ e, f }) => e.invertTriangle(f(3, 2)),
    "16-bit": ({ e, h }) => e.invertTriangle(h(2, 2)),
  },
  trmm: {
    "R not square": ({ e, f }) => e.trmm(f(2, 3), f(3, 2), false),
    "R of B's rows": ({ e, f }) => e.trmm(f(2, 3), f(2, 2), true),
    "16-bit B": ({ e, f, h }) => e.trmm(h(2, 3), f(3, 3), false),
    "16-bit R": ({ e, f, h }) => e.trmm(f(2, 3), h(3, 3), false),
    "B overlaps R": ({ e, f }) => overlapping(f, (r, b) => e.trmm(b, r, false)),
  },
  trsm: {
    "R not square": ({ e, f }) => e.trsm(f(2, 3), f(3, 2), false),
    "R of B's rows": ({ e, f }) => e.trsm(f(2, 3), f(2, 2), true),
    "16-bit B": ({ e, f, h }) => e.trsm(h(2, 3), f(3, 3), false),
    "16-bit R": ({ e, f, h }) => e.trsm(f(2, 3), h(3, 3), false),
    "B overlaps R": ({ e, f }) => overlapping(f, (r, b) => e.trsm(b, r, false)),
  },
  eigh: {
    "not square": ({ e, f }) => e.eigh(f(3, 2)),
    "16-bit": ({ e, h }) => e.eigh(h(2, 2)),
  },
  add: {
    "another shape": ({ e, f }) => e.add(1, f(2, 3), f(3, 2)),
    "16-bit A": ({ e, f, h }) => e.add(1, h(2, 3), f(2, 3)),
    "16-bit C": ({ e, f, h }) => e.add(1, f(2, 3), h(2, 3)),
    "a shifted part of itself": ({ e, f }) => overlapping(f, (a, c) => e.add(1, a, c)),
  },
  scaleCols: {
    "factors as many as rows": ({ e, f }) => e.scaleCols(f(2, 3), new Float32Array(2)),
    "16-bit": ({ e, h }) => e.scaleCols(h(2, 3), new Float32Array(3)),
  },
  columnSquares: {
    "16-bit": ({ e, h }) => e.columnSquares(h(2, 3)),
  },
  gather: {
    "rows of dst": ({ e, f }) => e.gather(f(4, 5), ids(0, 1), null, f(3, 5)),
    "columns of dst": ({ e, f }) => e.gather(f(4, 5), null, ids(0, 1), f(4, 5)),
    "dst of another size, all taken": ({ e, f }) => e.gather(f(4, 5), null, null, f(5, 4)),
    "row outside": ({ e, f }) => e.gather(f(4, 5), ids(0, 4), null, f(2, 5)),
    "negative column": ({ e, f }) => e.gather(f(4, 5), null, ids(-1), f(4, 1)),
    "other dtypes": ({ e, f, h }) => e.gather(f(4, 5), null, null, h(4, 5)),
    "dst overlaps src": ({ e, f }) => overlapping(f, (a, b) => e.gather(a, null, null, b)),
  },
  scatter: {
    "rows of src": ({ e, f }) => e.scatter(f(3, 5), ids(0, 1), null, f(4, 5)),
    "columns of src": ({ e, f }) => e.scatter(f(4, 5), null, ids(0, 1), f(4, 5)),
    "row outside": ({ e, f }) => e.scatter(f(2, 5), ids(0, 4), null, f(4, 5)),
    "negative column": ({ e, f }) => e.scatter(f(4, 1), null, ids(-1), f(4, 5)),
    "a row twice": ({ e, f }) => e.scatter(f(2, 5), ids(1, 1), null, f(4, 5)),
    "a column twice": ({ e, f }) => e.scatter(f(4, 3), null, ids(1, 0, 1), f(4, 5)),
    "other dtypes": ({ e, f, h }) => e.scatter(h(4, 5), null, null, f(4, 5)),
  },
  rmsNorm: {
    "weight as a column": ({ e, f }) => e.rmsNorm(f(3, 4), f(4, 1), 1e-5, 0, f(3, 4)),
    "weight too long": ({ e, f }) => e.rmsNorm(f(3, 4), f(1, 5), 1e-5, 0, f(3, 4)),
    "out of another shape": ({ e, f }) => e.rmsNorm(f(3, 4), f(1, 4), 1e-5, 0, f(4, 4)),
    "16-bit x": ({ e, f, h }) => e.rmsNorm(h(3, 4), f(1, 4), 1e-5, 0, f(3, 4)),
    "16-bit weight": ({ e, f, h }) => e.rmsNorm(f(3, 4), h(1, 4), 1e-5, 0, f(3, 4)),
    "16-bit out": ({ e, f, h }) => e.rmsNorm(f(3, 4), f(1, 4), 1e-5, 0, h(3, 4)),
  },
  addBias: {
    "bias as a column": ({ e, f }) => e.addBias(f(3, 4), f(4, 1)),
    "bias of more rows": ({ e, f }) => e.addBias(f(3, 4), f(3, 4)),
    "16-bit x": ({ e, f, h }) => e.addBias(h(3, 4), f(1, 4)),
    "16-bit bias": ({ e, f, h }) => e.addBias(f(3, 4), h(1, 4)),
  },
  rotary: {
    "odd head": ({ e, f }) => e.rotary(f(2, 6), f(2, 1), f(2, 1), 3),
    "no whole number of heads": ({ e, f }) => e.rotary(f(2, 6), f(2, 2), f(2, 2), 4),
    "no head": ({ e, f }) => e.rotary(f(2, 6), f(2, 0), f(2, 0), 0),
    "rows of cos": ({ e, f }) => e.rotary(f(2, 8), f(3, 2), f(2, 2), 4),
    "columns of sin": ({ e, f }) => e.rotary(f(2, 8), f(2, 2), f(2, 4), 4),
    "16-bit x": ({ e, f, h }) => e.rotary(h(2, 8), f(2, 2), f(2, 2), 4),
    "16-bit cos": ({ e, f, h }) => e.rotary(f(2, 8), h(2, 2), f(2, 2), 4),
  },
  attention: {
    "heads that cannot share": ({ e, f }) =>
      e.attention(f(2, 24), f(2, 18), f(2, 18), { ...attentionShape, nKvHeads: 3 }, f(2, 24)),
    "no heads": ({ e, f }) => e.attention(f(2, 0), f(2, 12), f(2, 12), { ...attentionShape, nHeads: 0 }, f(2, 0)),
    "fewer keys than queries": ({ e, f }) => e.attention(f(3, 24), f(2, 12), f(2, 12), attentionShape, f(3, 24)),
    "columns of q": ({ e, f }) => e.attention(f(2, 23), f(2, 12), f(2, 12), attentionShape, f(2, 23)),
    "columns of k": ({ e, f }) => e.attention(f(2, 24), f(2, 24), f(2, 12), attentionShape, f(2, 24)),
    "rows of v": ({ e, f }) => e.attention(f(2, 24), f(3, 12), f(2, 12), attentionShape, f(2, 24)),
    "rows of out": ({ e, f }) => e.attention(f(2, 24), f(2, 12), f(2, 12), attentionShape, f(3, 24)),
    "16-bit k": ({ e, f, h }) => e.attention(f(2, 24), h(2, 12), f(2, 12), attentionShape, f(2, 24)),
    "16-bit v": ({ e, f, h }) => e.attention(f(2, 24), f(2, 12), h(2, 12), attentionShape, f(2, 24)),
    "out is q": ({ e, f }) => itself(f(2, 24), (q) => e.attention(q, f(2, 12), f(2, 12), attentionShape, q)),
  },
  gatedActivation: {
    "another shape": ({ e, f }) => e.gatedActivation("silu", f(2, 3), f(3, 2)),
    "16-bit gate": ({ e, f, h }) => e.gatedActivation("silu", h(2, 3), f(2, 3)),
    "16-bit up": ({ e, f, h }) => e.gatedActivation("geluTanh", f(2, 3), h(2, 3)),
  },
};

export const wrongCallCases: readonly Case[] = refusals(wrongCalls);
