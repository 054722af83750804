import { requireAttention } from "./checks.ts";
import type { AdamWStep, AttentionShape } from "./engine.ts";
import {
  fail,
  type Handle,
  requireApart,
  requireCount,
  requireF32,
  requireIndices,
  requireSameOrApart,
  requireShape,
} from "./require.ts";

/** As checks.ts, for the operations of training. */

/** The target of a row that does not count. */
const ignored = -1;

export function checkSoftmaxCrossEntropy(logits: Handle, targets: Int32Array, out: Handle): void {
  const operation = "softmaxCrossEntropy";
  requireF32(operation, { logits, out });
  if (targets.length !== logits.rows) fail(operation, `${targets.length} targets for ${logits.rows} rows`);
  requireIndices(operation, "targets", targets, logits.cols, ignored);
  requireShape(operation, "out", out, logits.rows, logits.cols);
  requireSameOrApart(operation, out, "logits", logits);
}

export function checkRmsNormBackward(x: Handle, weight: Handle, dOut: Handle, dX: Handle, dWeight: Handle): void {
  const operation = "rmsNormBackward";
  requireF32(operation, { x, weight, dOut, dX, dWeight });
  requireShape(operation, "weight", weight, 1, x.cols);
  requireShape(operation, "dOut", dOut, x.rows, x.cols);
  requireShape(operation, "dX", dX, x.rows, x.cols);
  requireShape(operation, "dWeight", dWeight, 1, x.cols);
  requireApart(operation, dX, { weight, dWeight });
  requireApart(operation, dWeight, { x, weight, dOut });
  requireSameOrApart(operation, dX, "x", x);
  requireSameOrApart(operation, dX, "dOut", dOut);
}

/** What attentionBackward reads, in the order of its arguments. */
interface AttentionRead {
  readonly q: Handle;
  readonly k: Handle;
  readonly v: Handle;
  readonly out: Handle;
  readonly dOut: Handle;
}

export function checkAttentionBackward(
  { q, k, v, out, dOut }: AttentionRead,
  shape: AttentionShape,
  dQ: Handle,
  dK: Handle,
  dV: Handle,
): void {
  const operation = "attentionBackward";
  const read = { q, k, v, out, dOut };
  requireF32(operation, { ...read, dQ, dK, dV });
  requireAttention(operation, q, k, v, shape);
  if (k.rows !== q.rows) fail(operation, `${q.rows} query rows but ${k.rows} key rows: only without a past`);
  for (const [name, m] of Object.entries({ out, dOut, dQ })) requireShape(operation, name, m, q.rows, q.cols);
  for (const [name, m] of Object.entries({ dK, dV })) requireShape(operation, name, m, k.rows, k.cols);
  requireApart(operation, dQ, { ...read, dK, dV });
  requireApart(operation, dK, { ...read, dV });
  requireApart(operation, dV, read);
}

export function checkGatedActivationBackward(gate: Handle, up: Handle, dOut: Handle, dGate: Handle, dUp: Handle): void {
  const operation = "gatedActivationBackward";
  requireF32(operation, { gate, up, dOut, dGate, dUp });
  for (const [name, m] of Object.entries({ up, dOut, dGate, dUp })) {
    requireShape(operation, name, m, gate.rows, gate.cols);
  }
  requireApart(operation, dGate, { dUp });
  for (const written of [dGate, dUp]) {
    for (const [name, read] of Object.entries({ gate, up, dOut })) requireSameOrApart(operation, written, name, read);
  }
}

export function checkScatterAdd(src: Handle, rows: Int32Array, dst: Handle): void {
  requireF32("scatterAdd", { src, dst });
  requireIndices("scatterAdd", "rows", rows, dst.rows);
  requireShape("scatterAdd", "src", src, rows.length, dst.cols);
  requireApart("scatterAdd", dst, { src });
}

export function checkAdamW(param: Handle, grad: Handle, m: Handle, v: Handle, step: AdamWStep): void {
  if (param.dtype === "f16") fail("adamW", "param is f16, expected f32 or bf16: convert it first");
  requireF32("adamW", { grad, m, v });
  for (const [name, other] of Object.entries({ grad, m, v })) {
    requireShape("adamW", name, other, param.rows, param.cols);
  }
  requireApart("adamW", param, { grad, m, v });
  requireApart("adamW", m, { grad, v });
  requireApart("adamW", v, { grad });
  requireCount("adamW", "step", step.step, 1);
  const { lr, eps, weightDecay, beta1, beta2, scale } = step;
  for (const [name, value] of Object.entries({ lr, eps, weightDecay })) {
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) fail("adamW", `${name} must be at least 0, got ${value}`);
  }
  for (const [name, value] of Object.entries({ beta1, beta2 })) {
    if (!(value >= 0 && value < 1)) fail("adamW", `${name} must be at least 0 and below 1, got ${value}`);
  }
  if (!Number.isFinite(scale)) fail("adamW", `scale must be a finite number, got ${scale}`);
}
