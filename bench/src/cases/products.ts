import { type Case, Inputs } from "../case.ts";
import { deviation, Probe } from "../probe.ts";

/** C = A Bᵀ (as a linear layer multiplies) or A B. */
function gemm(label: string, m: number, n: number, k: number, transB: boolean): Case {
  return {
    name: `gemm ${label} ${m} x ${k} x ${n}`,
    flops: 2 * m * n * k,
    peer: { op: "gemm", m, n, k },
    prepare(engine) {
      const inputs = new Inputs(engine);
      const [a, b] = [inputs.matrix(m, k), transB ? inputs.matrix(n, k) : inputs.matrix(k, n)];
      const c = inputs.zeros(m, n);
      const probe = new Probe(engine);
      return {
        run: () => engine.gemm(1, a, false, b, transB, 0, c),
        check() {
          const x = probe.signs(n);
          const bx = transB ? probe.timesTransposed(b, x) : probe.times(b, x);
          return deviation(probe.times(c, x), probe.times(a, bx), k);
        },
        [Symbol.dispose]: () => inputs[Symbol.dispose](),
      };
    },
  };
}

/** Hessian statistics of one chunk of tokens: C += XᵀX, counted as the 2 k n² of a full product. */
function syrk(label: string, n: number, k: number): Case {
  return {
    name: `syrk ${label} ${n}, ${k} tokens`,
    flops: 2 * n * n * k,
    peer: { op: "syrk", m: n, n, k },
    prepare(engine) {
      const inputs = new Inputs(engine);
      const [x, c] = [inputs.matrix(k, n), inputs.zeros(n, n)];
      const probe = new Probe(engine);
      return {
        run: () => engine.syrk(1, x, 0, c),
        check() {
          engine.mirror(c);
          const v = probe.signs(n);
          return deviation(probe.times(c, v), probe.timesTransposed(x, probe.times(x, v)), k);
        },
        [Symbol.dispose]: () => inputs[Symbol.dispose](),
      };
    },
  };
}

export const productCases: readonly Case[] = [
  gemm("square", 256, 256, 256, false),
  gemm("square", 1024, 1024, 1024, false),
  gemm("SmolLM2 q, 512 tokens", 512, 576, 576, true),
  gemm("SmolLM2 gate, 512 tokens", 512, 1536, 576, true),
  gemm("SmolLM2 down, 512 tokens", 512, 576, 1536, true),
  gemm("SmolLM2 gate, one token", 1, 1536, 576, true),
  gemm("Llama q, 128 tokens", 128, 4096, 4096, true),
  gemm("Llama q, one token", 1, 4096, 4096, true),
  gemm("Llama gate, 128 tokens", 128, 11008, 4096, true),
  gemm("Llama down, 128 tokens", 128, 4096, 11008, true),
  gemm("Llama-3 k, 128 tokens", 128, 1024, 4096, true),
  gemm("Llama-3 gate, 128 tokens", 128, 14336, 4096, true),
  gemm("Llama-3 down, 128 tokens", 128, 4096, 14336, true),
  syrk("SmolLM2 hidden", 576, 512),
  syrk("SmolLM2 intermediate", 1536, 512),
  syrk("Llama hidden", 4096, 512),
];
