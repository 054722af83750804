import type { AttentionShape } from "../engine.ts";
import { type Block, eachElement } from "./block.ts";

/** out[t] := x[t] / √(mean(x[t]²) + eps) · (weight + offset). */
export function rmsNorm(x: Block, weight: Block, eps: number, offset: number, out: Block): void {
  for (let t = 0; t < x.rows; t++) {
    const xt = x.offset + t * x.stride;
    let squares = 0;
    for (let j = 0; j < x.cols; j++) squares += x.data[xt + j] ** 2;
    const scale = 1 / Math.sqrt(squares / x.cols + eps);
    for (let j = 0; j < x.cols; j++) {
      out.data[out.offset + t * out.stride + j] = x.data[xt + j] * scale * (weight.data[weight.offset + j] + offset);
    }
  }
}

/** Rotate the pair (j, j + headDim/2) of each head of row t by the angle whose cosine and sine stand at (t, j). */
export function rotary(x: Block, cos: Block, sin: Block, headDim: number): void {
  const half = headDim / 2;
  eachElement(cos, (_, t, j) => {
    const c = cos.data[cos.offset + t * cos.stride + j];
    const s = sin.data[sin.offset + t * sin.stride + j];
    for (let head = 0; head < x.cols; head += headDim) {
      const at = x.offset + t * x.stride + head + j;
      const a = x.data[at];
      const b = x.data[at + half];
      x.data[at] = a * c - b * s;
      x.data[at + half] = b * c + a * s;
    }
  });
}

/** For each query row and head: out := softmax(scale · q kᵀ) v over the key rows that it may see. */
export function attention(q: Block, k: Block, v: Block, shape: AttentionShape, out: Block): void {
  const past = k.rows - q.rows;
  const sharing = shape.nHeads / shape.nKvHeads;
  for (let t = 0; t < q.rows; t++) {
    for (let head = 0; head < shape.nHeads; head++) {
      const kvHead = Math.floor(head / sharing);
      const weights = softmax(scores(q, t, head, k, kvHead, past + t + 1, shape));
      mixValues(weights, v, kvHead * shape.headDim, shape.headDim, out, t, head * shape.headDim);
    }
  }
}

/** scale · (query row t of one head) · (key row s of its key head), for s < nKeys. */
export function scores(
  q: Block,
  t: number,
  head: number,
  k: Block,
  kvHead: number,
  nKeys: number,
  { headDim, scale }: AttentionShape,
): Float64Array {
  const query = q.offset + t * q.stride + head * headDim;
  return Float64Array.from({ length: nKeys }, (_, s) => {
    const key = k.offset + s * k.stride + kvHead * headDim;
    let sum = 0;
    for (let d = 0; d < headDim; d++) sum += q.data[query + d] * k.data[key + d];
    return scale * sum;
  });
}

/** e^(x − max) / Σ e^(x − max). */
export function softmax(values: Float64Array): Float64Array {
  const max = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const exponentials = values.map((value) => Math.exp(value - max));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** out[t][outCol + d] := Σ_s weights[s] · v[s][vCol + d]. */
function mixValues(
  weights: Float64Array,
  v: Block,
  vCol: number,
  headDim: number,
  out: Block,
  t: number,
  outCol: number,
): void {
  for (let d = 0; d < headDim; d++) {
    let sum = 0;
    for (let s = 0; s < weights.length; s++) sum += weights[s] * v.data[v.offset + s * v.stride + vCol + d];
    out.data[out.offset + t * out.stride + outCol + d] = sum;
  }
}

const activations = {
  /** x · sigmoid(x). */
  silu: (x: number): number => x / (1 + Math.exp(-x)),
  /** The tanh approximation of GELU (Hendrycks and Gimpel, arXiv 1606.08415). */
  geluTanh: (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
} as const;

/** gate := activation(gate) · up. */
export function gatedActivation(kind: keyof typeof activations, gate: Block, up: Block): void {
  const activation = activations[kind];
  eachElement(gate, (at, i, j) => {
    gate.data[at] = activation(gate.data[at]) * up.data[up.offset + i * up.stride + j];
  });
}
