import type { AttentionShape } from "../engine.ts";
import type { Block } from "./block.ts";
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
  const mean = dotRow(own.dOut, own.out);
  weights.forEach((weight, s) => {
    const [key, value] = [headRow(k, s, kvHead, headDim), headRow(v, s, kvHead, headDim)];
    const dScore = scale * weight * (dotRow(own.dOut, value) - mean);
    addRow(dScore, key, own.dQ);
    addRow(dScore, own.q, headRow(dK, s, kvHead, headDim));
    addRow(weight, own.dOut, headRow(dV, s, kvHead, headDim));
  });
}

/** The numbers of one head in row t, as a block of one row. */
function headRow({ data, offset, stride }: Block, t: number, head: number, headDim: number): Block {
  return { data, offset: offset + t * stride + head * headDim, rows: 1, cols: headDim, stride };
}

function clear(m: Block): void {
  for (let i = 0; i < m.rows; i++) m.data.fill(0, m.offset + i * m.stride, m.offset + i * m.stride + m.cols);
}

/** The product of two blocks of one row. */
function dotRow(a: Block, b: Block): number {
  let sum = 0;
  for (let j = 0; j < a.cols; j++) sum += a.data[a.offset + j] * b.data[b.offset + j];
  return sum;
}

/** into += factor · row, both of one row. */
function addRow(factor: number, row: Block, into: Block): void {
  for (let j = 0; j < row.cols; j++) into.data[into.offset + j] += factor * row.data[row.offset + j];
}
