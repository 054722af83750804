import type { AdamWStep, Engine, Matrix } from "../engine.ts";
import { numbers, type Operation, type Results, random } from "./inputs.ts";

/** Rows beside n columns. */
const rows = 37;

const step: AdamWStep = { lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, step: 3, scale: 0.5 };

/** Row indices below n, some again and again. */
function drawn(count: number, n: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * i + 3 * i) % n);
}

function gateBackward(kind: "silu" | "geluTanh"): Operation {
  return (e, n) => {
    const [gate, up, dOut] = [random(e, rows, n, 35), random(e, rows, n, 36), random(e, rows, n, 37)];
    e.gatedActivationBackward(kind, gate, up, dOut, gate, up);
    return [e.read(gate), e.read(up)];
  };
}

function optimise(e: Engine, param: Matrix, n: number): Results {
  const [m, v] = [random(e, rows, n, 39), e.alloc(rows, n)];
  e.write(
    v,
    numbers(rows * n, 40).map((x) => x * x),
  );
  e.adamW(param, random(e, rows, n, 41), m, v, step);
  return [e.read(m), e.read(v)];
}

/** Those of training. */
export const trainingOperations: Readonly<Record<string, Operation>> = {
  softmaxCrossEntropy: (e, n) => {
    const logits = random(e, rows, n, 30);
    const targets = drawn(rows, n).map((target, i) => (i % 5 === 2 ? -1 : target));
    const loss = e.softmaxCrossEntropy(logits, targets, logits);
    return [e.read(logits), Float64Array.of(loss / rows)];
  },
  rmsNormBackward: (e, n) => {
    const [x, weight, dOut] = [random(e, rows, n, 31), random(e, 1, n, 32), random(e, rows, n, 33)];
    const dWeight = random(e, 1, n, 34);
    e.rmsNormBackward(x, weight, 0.1, 1, dOut, dOut, dWeight);
    return [e.read(dOut), e.read(dWeight)];
  },
  attentionBackward: (e, n) => {
    const shape = { nHeads: 4, nKvHeads: 2, headDim: 16, scale: 0.25 };
    const [q, k, v, dOut] = [random(e, n, 64, 6), random(e, n, 32, 7), random(e, n, 32, 8), random(e, n, 64, 42)];
    const [out, dQ, dK, dV] = [e.alloc(n, 64), e.alloc(n, 64), e.alloc(n, 32), e.alloc(n, 32)];
    e.attention(q, k, v, shape, out);
    e.attentionBackward(q, k, v, shape, out, dOut, dQ, dK, dV);
    return [dQ, dK, dV].map((m) => e.read(m));
  },
  "gradient of silu": gateBackward("silu"),
  "gradient of gelu": gateBackward("geluTanh"),
  scatterAdd: (e, n) => {
    const dst = random(e, rows, n, 43);
    e.scatterAdd(random(e, 2 * rows, n, 44), drawn(2 * rows, rows), dst);
    return [e.read(dst)];
  },
  adamW: (e, n) => {
    const param = random(e, rows, n, 38);
    const moments = optimise(e, param, n);
    return [e.read(param), ...moments];
  },
  "adamW, bf16": (e, n) => {
    const [param, wide] = [e.alloc(rows, n, "bf16"), random(e, rows, n, 38)];
    e.convert(wide, param);
    const moments = optimise(e, param, n);
    e.convert(param, wide);
    return [e.read(wide), ...moments];
  },
};
