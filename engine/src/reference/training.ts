import type { AdamWFactors } from "../adamW.ts";
import { type Block, eachElement } from "./block.ts";

/** out[t] := softmax(logits[t]) − one-hot(targets[t]), zero where the target is −1. @returns the sum of losses */
export function softmaxCrossEntropy(logits: Block, targets: Int32Array, out: Block): number {
  let loss = 0;
  for (let t = 0; t < logits.rows; t++) {
    const row = logits.data.slice(logits.offset + t * logits.stride, logits.offset + t * logits.stride + logits.cols);
    const into = out.data.subarray(out.offset + t * out.stride, out.offset + t * out.stride + out.cols);
    if (targets[t] < 0) {
      into.fill(0);
      continue;
    }
    const largest = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const sum = row.reduce((total, x) => total + Math.exp(x - largest), 0);
    loss += Math.log(sum) - (row[targets[t]] - largest);
    into.set(row.map((x, j) => Math.exp(x - largest) / sum - (j === targets[t] ? 1 : 0)));
  }
  return loss;
}

/**
 * With r = 1 / √(mean(x²) + eps) and w = weight + offset: dX := r (w · dOut − x r² mean(w · dOut · x)), row by row;
 * dWeight += Σ_t dOut[t] · x[t] r.
 */
export function rmsNormBackward(
  x: Block,
  weight: Block,
  eps: number,
  offset: number,
  dOut: Block,
  dX: Block,
  dWeight: Block,
): void {
  for (let t = 0; t < x.rows; t++) {
    const [xt, gt, dt] = [x.offset + t * x.stride, dOut.offset + t * dOut.stride, dX.offset + t * dX.stride];
    let [squares, product] = [0, 0];
    for (let j = 0; j < x.cols; j++) {
      squares += x.data[xt + j] ** 2;
      product += (weight.data[weight.offset + j] + offset) * dOut.data[gt + j] * x.data[xt + j];
    }
    const r = 1 / Math.sqrt(squares / x.cols + eps);
    for (let j = 0; j < x.cols; j++) {
      const [value, slope] = [x.data[xt + j], dOut.data[gt + j]];
      const scaled = (weight.data[weight.offset + j] + offset) * slope;
      dWeight.data[dWeight.offset + j] += slope * value * r;
      dX.data[dt + j] = r * (scaled - (value * r * r * product) / x.cols);
    }
  }
}

/** Activations are x · s(u(x)), s the logistic function: u and its derivative. */
const sigmoidArguments = {
  silu: { of: (x: number) => x, slope: () => 1 },
  /** 1 + tanh z = 2 s(2z). */
  geluTanh: {
    of: (x: number) => 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3),
    slope: (x: number) => 2 * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2),
  },
} as const;

/** dGate := dOut · up · a′(gate), dUp := dOut · a(gate) for the activation a(x) = x s(u), a′ = s + x s (1 − s) u′. */
export function gatedActivationBackward(
  kind: keyof typeof sigmoidArguments,
  gate: Block,
  up: Block,
  dOut: Block,
  dGate: Block,
  dUp: Block,
): void {
  const { of, slope } = sigmoidArguments[kind];
  const place = (m: Block, i: number, j: number) => m.offset + i * m.stride + j;
  eachElement(gate, (at, i, j) => {
    const [x, y, g] = [gate.data[at], up.data[place(up, i, j)], dOut.data[place(dOut, i, j)]];
    const s = 1 / (1 + Math.exp(-of(x)));
    dGate.data[place(dGate, i, j)] = g * y * (s + x * s * (1 - s) * slope(x));
    dUp.data[place(dUp, i, j)] = g * x * s;
  });
}

/** dst[rows[i]] += src[i]. */
export function scatterAdd(src: Block, rows: Int32Array, dst: Block): void {
  eachElement(src, (at, i, j) => {
    dst.data[dst.offset + rows[i] * dst.stride + j] += src.data[at];
  });
}

/** One step; `param` holds the parameters' numbers in row-major order and is changed. */
export function adamW(param: Float64Array, grad: Block, m: Block, v: Block, factors: AdamWFactors): void {
  const { decay, rate1, beta2, rate2, stepSize, correction, eps, scale } = factors;
  eachElement(grad, (at, i, j) => {
    const [g, mAt, vAt] = [scale * grad.data[at], m.offset + i * m.stride + j, v.offset + i * v.stride + j];
    m.data[mAt] += rate1 * (g - m.data[mAt]);
    v.data[vAt] = beta2 * v.data[vAt] + rate2 * g * g;
    const p = i * grad.cols + j;
    param[p] = param[p] * decay - (stepSize * m.data[mAt]) / (Math.sqrt(v.data[vAt]) / correction + eps);
  });
}
