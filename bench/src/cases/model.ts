import type { Case } from "../case.ts";
import { smolShape as shape, simple } from "../simple.ts";

function attention(nTokens: number, nPast: number): Case {
  return simple(`attention SmolLM2, ${nTokens} tokens after ${nPast}`, (inputs) => {
    const [q, out] = [inputs.matrix(nTokens, 576), inputs.zeros(nTokens, 576)];
    const [k, v] = [inputs.matrix(nPast + nTokens, 192), inputs.matrix(nPast + nTokens, 192)];
    return { run: () => inputs.engine.attention(q, k, v, shape, out), out };
  });
}

export const modelCases: readonly Case[] = [
  attention(512, 0),
  attention(1, 511),
  simple("rmsNorm 512 x 576", (inputs) => {
    const [x, weight, out] = [inputs.matrix(512, 576), inputs.matrix(1, 576), inputs.zeros(512, 576)];
    return { run: () => inputs.engine.rmsNorm(x, weight, 1e-5, 0, out), out };
  }),
  simple("gatedActivation silu 512 x 1536", (inputs) => {
    const [gate, up] = [inputs.matrix(512, 1536), inputs.matrix(512, 1536)];
    return { run: () => inputs.engine.gatedActivation("silu", gate, up), out: gate };
  }),
  simple("convert bf16 to f32 1536 x 576", (inputs) => {
    const [x, out] = [inputs.hold(inputs.engine.alloc(1536, 576, "bf16")), inputs.zeros(1536, 576)];
    return { run: () => inputs.engine.convert(x, out), out };
  }),
];
