import type { Case } from "../case.ts";
import { smolShape as shape, simple } from "../simple.ts";

/** @param work of a prompt its two products, of which half is seen; of one token the keys and values that are read */
function attention(nTokens: number, nPast: number, work: Pick<Case, "flops" | "bytes">): Case {
  return simple(
    `attention SmolLM2, ${nTokens} tokens after ${nPast}`,
    (inputs) => {
      const [q, out] = [inputs.matrix(nTokens, 576), inputs.zeros(nTokens, 576)];
      const [k, v] = [inputs.matrix(nPast + nTokens, 192), inputs.matrix(nPast + nTokens, 192)];
      return { run: () => inputs.engine.attention(q, k, v, shape, out), out };
    },
    work,
  );
}

function rmsNorm(label: string, rows: number, cols: number): Case {
  return simple(
    `rmsNorm ${label}${rows} x ${cols}`,
    (inputs) => {
      const [x, weight, out] = [inputs.matrix(rows, cols), inputs.matrix(1, cols), inputs.zeros(rows, cols)];
      return { run: () => inputs.engine.rmsNorm(x, weight, 1e-5, 0, out), out };
    },
    { bytes: 2 * 4 * rows * cols },
  );
}

function gated(label: string, rows: number, cols: number): Case {
  return simple(
    `gatedActivation silu ${label}${rows} x ${cols}`,
    (inputs) => {
      const [gate, up] = [inputs.matrix(rows, cols), inputs.matrix(rows, cols)];
      return { run: () => inputs.engine.gatedActivation("silu", gate, up), out: gate };
    },
    { bytes: 3 * 4 * rows * cols },
  );
}

export const modelCases: readonly Case[] = [
  attention(512, 0, { flops: 2 * 512 * 512 * 576 }),
  attention(1, 511, { bytes: 2 * 4 * 512 * 192 }),
  rmsNorm("", 512, 576),
  rmsNorm("Llama ", 128, 4096),
  gated("", 512, 1536),
  gated("Llama-3 ", 128, 14336),
  simple(
    "addBias 512 x 576",
    (inputs) => {
      const [x, bias] = [inputs.matrix(512, 576), inputs.zeros(1, 576)];
      return { run: () => inputs.engine.addBias(x, bias), out: x };
    },
    { bytes: 2 * 4 * 512 * 576 },
  ),
  simple(
    "rotary SmolLM2 512 x 576",
    (inputs) => {
      const [x, cos, sin] = [inputs.matrix(512, 576), inputs.zeros(512, 32), inputs.zeros(512, 32)];
      inputs.engine.fill(cos, 1);
      return { run: () => inputs.engine.rotary(x, cos, sin, shape.headDim), out: x };
    },
    { bytes: 2 * 4 * 512 * (576 + 32) },
  ),
];
