import type { Matrix } from "@safedelta/engine";
import { norm, type Plain, plainOf } from "../../support/plain.ts";
import made from "../fixtures/training.json";
import type { Case, Trial } from "../trial.ts";

/** A matrix as fixtures/make_training.py writes it. */
interface Stored {
  readonly rows: number;
  readonly cols: number;
  readonly values: readonly number[];
}

const plainFrom = ({ rows, cols, values }: Stored): Plain => plainOf(rows, cols, values);
const given = (t: Trial, stored: Stored): Matrix => t.matrix(plainFrom(stored));
const blank = (t: Trial, { rows, cols }: Stored): Matrix => t.blank(rows, cols);

/** The result is PyTorch's but for the rounding of sums of a few numbers of its size. */
function same(t: Trial, m: Matrix, stored: Stored): void {
  const expected = plainFrom(stored);
  t.near(t.plain(m), expected, 2 * norm(expected), 16);
}

/** What PyTorch's autograd and AdamW gave for the same numbers. */
export const pytorchCases: readonly Case[] = [
  {
    name: "softmaxCrossEntropy gives PyTorch's loss and gradient",
    run(t) {
      const { logits, targets, loss, gradient } = made.softmaxCrossEntropy;
      const m = given(t, logits);
      const sum = t.engine.softmaxCrossEntropy(m, Int32Array.from(targets), m);
      t.near(plainOf(1, 1, [sum]), plainOf(1, 1, [loss]), loss, 16);
      same(t, m, gradient);
    },
  },
  ...made.rmsNorm.map(({ eps, offset, inputs, dOut, out, gradients }) => ({
    name: `rmsNormBackward gives PyTorch's gradients, offset ${offset}`,
    run(t: Trial) {
      const [x, weight, result] = [given(t, inputs.x), given(t, inputs.weight), blank(t, out)];
      const [dX, dWeight] = [blank(t, inputs.x), t.alloc(1, inputs.weight.cols)];
      t.engine.rmsNorm(x, weight, eps, offset, result);
      t.engine.rmsNormBackward(x, weight, eps, offset, given(t, dOut), dX, dWeight);
      same(t, result, out);
      same(t, dX, gradients.x);
      same(t, dWeight, gradients.weight);
    },
  })),
  {
    name: "attentionBackward gives PyTorch's gradients",
    run(t) {
      const { shape, inputs, dOut, out, gradients } = made.attention;
      const [q, k, v, result] = [given(t, inputs.q), given(t, inputs.k), given(t, inputs.v), blank(t, out)];
      const [dQ, dK, dV] = [blank(t, inputs.q), blank(t, inputs.k), blank(t, inputs.v)];
      t.engine.attention(q, k, v, shape, result);
      t.engine.attentionBackward(q, k, v, shape, result, given(t, dOut), dQ, dK, dV);
      same(t, result, out);
      same(t, dQ, gradients.q);
      same(t, dK, gradients.k);
      same(t, dV, gradients.v);
    },
  },
  ...(["silu", "geluTanh"] as const).map((kind) => ({
    name: `gatedActivationBackward gives PyTorch's gradients of ${kind}`,
    run(t: Trial) {
      const { inputs, dOut, gradients } = made.gatedActivation[kind];
      const [gate, up] = [given(t, inputs.gate), given(t, inputs.up)];
      t.engine.gatedActivationBackward(kind, gate, up, given(t, dOut), gate, up);
      same(t, gate, gradients.gate);
      same(t, up, gradients.up);
    },
  })),
  {
    name: "scatterAdd gives PyTorch's gradient of an embedding",
    run(t) {
      const { rows, dOut, gradient } = made.embedding;
      const table = t.alloc(gradient.rows, gradient.cols);
      t.engine.scatterAdd(given(t, dOut), Int32Array.from(rows), table);
      same(t, table, gradient);
    },
  },
  ...made.adamW.map(({ settings, start, grads, param }) => ({
    name: `adamW gives PyTorch's parameters, lr ${settings.lr}`,
    run(t: Trial) {
      const [p, m, v] = [given(t, start), t.alloc(start.rows, start.cols), t.alloc(start.rows, start.cols)];
      grads.forEach((grad, i) => {
        t.engine.adamW(p, given(t, grad), m, v, { ...settings, step: i + 1, scale: 1 });
      });
      same(t, p, param);
    },
  })),
];
