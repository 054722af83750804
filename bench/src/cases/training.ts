import type { AdamWStep } from "@safedelta/engine";
import type { Case } from "../case.ts";
import { simple, smolShape } from "../simple.ts";

const step: AdamWStep = { lr: 1e-5, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01, step: 9, scale: 0.5 };

/** The sizes of SmolLM2-135M on sequences of 512 tokens. */
export const trainingCases: readonly Case[] = [
  simple(
    "softmaxCrossEntropy 256 x 49152",
    (inputs) => {
      const logits = inputs.matrix(256, 49152);
      const targets = Int32Array.from({ length: 256 }, (_, i) => 100 * i);
      return { run: () => void inputs.engine.softmaxCrossEntropy(logits, targets, logits), out: logits };
    },
    { bytes: 2 * 4 * 256 * 49152 },
  ),
  simple(
    "rmsNormBackward 512 x 576",
    (inputs) => {
      const [x, weight, dOut] = [inputs.matrix(512, 576), inputs.matrix(1, 576), inputs.matrix(512, 576)];
      const [dX, dWeight] = [inputs.zeros(512, 576), inputs.zeros(1, 576)];
      return { run: () => inputs.engine.rmsNormBackward(x, weight, 1e-5, 0, dOut, dX, dWeight), out: dX };
    },
    { bytes: 3 * 4 * 512 * 576 },
  ),
  simple(
    "attentionBackward SmolLM2, 512 tokens",
    (inputs) => {
      const { engine } = inputs;
      const [q, k, v] = [inputs.matrix(512, 576), inputs.matrix(512, 192), inputs.matrix(512, 192)];
      const [out, dOut, dQ] = [inputs.zeros(512, 576), inputs.matrix(512, 576), inputs.zeros(512, 576)];
      const [dK, dV] = [inputs.zeros(512, 192), inputs.zeros(512, 192)];
      engine.attention(q, k, v, smolShape, out);
      return { run: () => engine.attentionBackward(q, k, v, smolShape, out, dOut, dQ, dK, dV), out: dQ };
    },
    { flops: 5 * 512 * 512 * 576 }, // five products, half of each seen
  ),
  simple(
    "gatedActivationBackward silu 512 x 1536",
    (inputs) => {
      const [gate, up, dOut] = [inputs.matrix(512, 1536), inputs.matrix(512, 1536), inputs.matrix(512, 1536)];
      const [dGate, dUp] = [inputs.zeros(512, 1536), inputs.zeros(512, 1536)];
      return { run: () => inputs.engine.gatedActivationBackward("silu", gate, up, dOut, dGate, dUp), out: dGate };
    },
    { bytes: 5 * 4 * 512 * 1536 },
  ),
  simple(
    "scatterAdd 512 of 49152 x 576",
    (inputs) => {
      const [src, dst] = [inputs.matrix(512, 576), inputs.zeros(49152, 576)];
      const rows = Int32Array.from({ length: 512 }, (_, i) => (i * i) % 49152);
      return { run: () => inputs.engine.scatterAdd(src, rows, dst), out: dst.view(0, 0, 1, 576) };
    },
    { bytes: 3 * 4 * 512 * 576 },
  ),
  ...(
    [
      ["f32", 4],
      ["bf16", 2],
    ] as const
  ).map(([dtype, itemBytes]) =>
    simple(
      `adamW ${dtype} 1536 x 576`,
      (inputs) => {
        const param = inputs.hold(inputs.engine.alloc(1536, 576, dtype));
        const [grad, m, v] = [inputs.matrix(1536, 576), inputs.zeros(1536, 576), inputs.zeros(1536, 576)];
        return { run: () => inputs.engine.adamW(param, grad, m, v, step), out: m };
      },
      { bytes: (2 * itemBytes + 5 * 4) * 1536 * 576 },
    ),
  ),
];
