import type { AttentionShape } from "../engine.ts";
import { type Block, copyRow } from "./block.ts";
import { scores, softmax } from "./model.ts";

/** The gradients that attentionBackward writes. */
export interface Gradients {
  readonly dQ: Block;
  readonly dK: Block;
  readonly dV: Block;
}

/**
 * With P the probabilities of one head: dV := Pᵀ dOut, dS = P · (dOut vᵀ − rowsum(dOut · out)), dQ := scale · dS k,
 * dK := scale · dSᵀ q, the last two summed over heads that share a key head.
 */
export function attentionBackward(
  q: Block,
  k: Block,
  v: Block,
  shape: AttentionShape,
  out: Block,
  dOut: Block,
  into: Gradients,
): void {
  for (const m of Object.values(into)) clear(m);
  for (let t = 0; t < q.rows; t++) {
    for (let head = 0; head < shape.nHeads; head++) {
      const kvHead = Math.floor((head * shape.nKvHeads) / shape.nHeads);
      const weights = softmax(scores(q, t, head, k, kvHead, t + 1, shape));
      const own = (m: Block) => headRow(m, t, head, shape.headDim);
      addHead({ q: own(q), out: own(out), dOut: own(dOut), dQ: own(into.dQ) }, weights, kvHead, k, v, shape, into);
    }
  }
}

/** Add what one query of one head gives. */
function addHead(
  own: Readonly<Record<"q" | "out" | "dOut" | "dQ", Block>>,
  weights: Float64Array,
  kvHead: number,
  k: Block,
  v: Block,
  { headDim, scale }: AttentionShape,
  { dK, dV }: Gradients,
): void {
  const [query, slope] = [copyRow(own.q, 0), copyRow(own.dOut, 0)];
  const mean = dot(slope, copyRow(own.out, 0));
  weights.forEach((weight, s) => {
    const [key, value] = [headRow(k, s, kvHead, headDim), headRow(v, s, kvHead, headDim)];
    const dScore = scale * weight * (dot(slope, copyRow(value, 0)) - mean);
    addRow(dScore, copyRow(key, 0), own.dQ);
    addRow(dScore, query, headRow(dK, s, kvHead, headDim));
    addRow(weight, slope, headRow(dV, s, kvHead, headDim));
  });
}

/** The numbers of one head in row t, as a block of one row. */
function headRow(m: Block, t: number, head: number, headDim: number): Block {
  return { ...m, offset: m.offset + t * m.stride + head * headDim, rows: 1, cols: headDim };
}

function clear(m: Block): void {
  for (let i = 0; i < m.rows; i++) m.data.fill(0, m.offset + i * m.stride, m.offset + i * m.stride + m.cols);
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

/** into += factor · row. */
function addRow(factor: number, row: Float64Array, into: Block): void {
  row.forEach((value, j) => {
    into.data[into.offset + j] += factor * value;
  });
}
