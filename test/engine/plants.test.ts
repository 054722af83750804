import { expect, test } from "bun:test";
import { type Engine, type Matrix, openEngine } from "@safedelta/engine";
import { cases } from "./cases.ts";
import { Trial } from "./trial.ts";

/** A mistake planted into an engine, and how the names of the cases begin that must find it. */
interface Plant {
  readonly cases: string;
  /** Operations that stand in for the right ones of `e`. */
  wrong(e: Engine): Partial<Engine>;
}

const last = (m: Matrix) => m.view(m.rows - 1, m.cols - 1, 1, 1);
const half = (m: Matrix) => m.view(0, 0, m.rows, Math.ceil(m.cols / 2));

/** Add `value` to one element: about the smallest mistake that a kernel can make. */
function nudge(e: Engine, element: Matrix, value: number): void {
  const [was] = e.read(element);
  e.write(element, Float32Array.of(was + value));
}

const plants: Record<string, Plant> = {
  "gemm reads C when beta is 0": {
    cases: "gemm square",
    wrong: (e) => ({
      gemm: (alpha, a, ta, b, tb, beta, c) => e.gemm(alpha, a, ta, b, tb, beta === 0 ? 1e-30 : beta, c),
    }),
  },
  "gemm drops the last step of the sum": {
    cases: "gemm rectangle",
    wrong: (e) => ({
      gemm(alpha, a, ta, b, tb, beta, c) {
        if (ta || tb || a.cols < 600) return e.gemm(alpha, a, ta, b, tb, beta, c);
        e.gemm(alpha, a.view(0, 0, a.rows, a.cols - 1), ta, b.view(0, 0, b.rows - 1, b.cols), tb, beta, c);
      },
    }),
  },
  "gemm forgets to transpose square matrices": {
    cases: "gemm square",
    wrong: (e) => ({ gemm: (alpha, a, _, b, tb, beta, c) => e.gemm(alpha, a, a.rows !== c.rows, b, tb, beta, c) }),
  },
  "syrk replaces instead of accumulating": {
    cases: "syrk",
    wrong: (e) => ({ syrk: (alpha, a, _, c) => e.syrk(alpha, a, 0, c) }),
  },
  "mirror does nothing from 64 rows on": {
    cases: "mirror",
    wrong: (e) => ({ mirror: (m) => (m.rows < 64 ? e.mirror(m) : undefined) }),
  },
  "Cholesky leaves its input below the diagonal": {
    cases: "reverse Cholesky",
    wrong: (e) => ({
      choleskyReverse(h) {
        e.choleskyReverse(h);
        if (h.rows > 1) nudge(e, h.view(h.rows - 1, 0, 1, 1), 1e-6);
      },
    }),
  },
  "a failed Cholesky becomes the identity": {
    cases: "a bad pivot",
    wrong: (e) => ({
      choleskyReverse(h) {
        try {
          e.choleskyReverse(h);
        } catch {
          e.fill(h, 0);
        }
      },
    }),
  },
  "trsm is off by a hundredth in one element": {
    cases: "trsm",
    wrong: (e) => ({
      trsm(b, r, transR) {
        e.trsm(b, r, transR);
        if (b.rows > 0 && b.cols > 100) nudge(e, last(b), 1e-2);
      },
    }),
  },
  "trmm ignores the transposition": {
    cases: "trmm: B := B Rᵀ",
    wrong: (e) => ({ trmm: (b, r) => e.trmm(b, r, false) }),
  },
  "invertTriangle clears the lower part": {
    cases: "R R⁻¹",
    wrong: (e) => ({
      invertTriangle(r) {
        e.invertTriangle(r);
        if (r.rows > 64) e.fill(r.view(r.rows - 1, 0, 1, 1), 0);
      },
    }),
  },
  "eigenvalues are descending": {
    cases: "eigh",
    wrong: (e) => ({
      eigh(h) {
        const { values, vectors } = e.eigh(h);
        return { values: values.reverse(), vectors };
      },
    }),
  },
  "eigenvectors are rows": {
    cases: "eigh",
    wrong: (e) => ({
      eigh(h) {
        const { values, vectors } = e.eigh(h);
        using copy = e.alloc(h.rows, h.rows);
        using one = e.alloc(h.rows, h.rows);
        for (let i = 0; i < h.rows; i++) e.fill(one.view(i, i, 1, 1), 1);
        e.convert(vectors, copy);
        e.gemm(1, copy, true, one, false, 0, vectors);
        return { values, vectors };
      },
    }),
  },
  "columnSquares sums in f32": {
    cases: "columnSquares",
    wrong: (e) => ({ columnSquares: (m) => Float64Array.from(Float32Array.from(e.columnSquares(m))) }),
  },
  "scatter clears the other elements": {
    cases: "scatter leaves",
    wrong: (e) => ({
      scatter(src, rows, cols, dst) {
        if (dst.dtype === "f32") e.fill(dst, 0);
        e.scatter(src, rows, cols, dst);
      },
    }),
  },
  "bf16 is cut off instead of rounded": {
    cases: "f32 to bf16",
    wrong: (e) => ({
      convert(src, dst) {
        if (src.dtype !== "f32" || dst.dtype !== "bf16") return e.convert(src, dst);
        const bits = new Uint32Array(e.read(src).buffer);
        e.write(
          dst,
          Uint16Array.from(bits, (b) => b >>> 16),
        );
      },
    }),
  },
  "rmsNorm forgets eps": {
    cases: "rmsNorm",
    wrong: (e) => ({ rmsNorm: (x, weight, _, offset, out) => e.rmsNorm(x, weight, 0, offset, out) }),
  },
  "rotary turns the other way": {
    cases: "rotary",
    wrong: (e) => ({
      rotary(x, cos, sin, headDim) {
        e.scaleCols(sin, new Float32Array(sin.cols).fill(-1));
        e.rotary(x, cos, sin, headDim);
      },
    }),
  },
  "silu stands in for GELU": {
    cases: "geluTanh",
    wrong: (e) => ({ gatedActivation: (_, gate, up) => e.gatedActivation("silu", gate, up) }),
  },
  "attention sees one row more": {
    cases: "attention",
    wrong: (e) => ({
      attention(q, k, v, shape, out) {
        if (q.rows < 2) return e.attention(q, k, v, shape, out);
        const but = (m: Matrix) => m.view(0, 0, m.rows - 1, m.cols);
        e.attention(but(q), k, v, shape, but(out));
        e.attention(q.view(q.rows - 1, 0, 1, q.cols), k, v, shape, out.view(q.rows - 1, 0, 1, q.cols));
      },
    }),
  },
  "attention forgets the scale": {
    cases: "attention",
    wrong: (e) => ({ attention: (q, k, v, shape, out) => e.attention(q, k, v, { ...shape, scale: 1 }, out) }),
  },
  "a row that does not count is counted": {
    cases: "softmaxCrossEntropy as defined",
    wrong: (e) => ({
      softmaxCrossEntropy: (logits, targets, out) =>
        e.softmaxCrossEntropy(
          logits,
          targets.map((target) => Math.max(target, 0)),
          out,
        ),
    }),
  },
  "the gradient of the mean loss instead of the sum": {
    cases: "softmaxCrossEntropy: the gradient",
    wrong: (e) => ({
      softmaxCrossEntropy(logits, targets, out) {
        const loss = e.softmaxCrossEntropy(logits, targets, out);
        e.add(1 / targets.length - 1, out, out);
        return loss;
      },
    }),
  },
  "rmsNormBackward replaces the weight's gradient instead of adding to it": {
    cases: "rmsNormBackward",
    wrong: (e) => ({
      rmsNormBackward(x, weight, eps, offset, dOut, dX, dWeight) {
        e.fill(dWeight, 0);
        e.rmsNormBackward(x, weight, eps, offset, dOut, dX, dWeight);
      },
    }),
  },
  "rmsNormBackward forgets the offset": {
    cases: "rmsNormBackward",
    wrong: (e) => ({ rmsNormBackward: (x, w, eps, _, dOut, dX, dW) => e.rmsNormBackward(x, w, eps, 0, dOut, dX, dW) }),
  },
  "the gradients of keys and values are exchanged": {
    cases: "attentionBackward",
    wrong: (e) => ({
      attentionBackward: (q, k, v, shape, out, dOut, dQ, dK, dV) =>
        e.attentionBackward(q, k, v, shape, out, dOut, dQ, dV, dK),
    }),
  },
  "the gradient of attention forgets what its result weighs": {
    cases: "attentionBackward",
    wrong: (e) => ({
      attentionBackward(q, k, v, shape, out, dOut, dQ, dK, dV) {
        using nothing = e.alloc(out.rows, out.cols);
        e.attentionBackward(q, k, v, shape, nothing, dOut, dQ, dK, dV);
      },
    }),
  },
  "the gradients of gate and up are exchanged": {
    cases: "gatedActivationBackward",
    wrong: (e) => ({
      gatedActivationBackward: (kind, gate, up, dOut, dGate, dUp) =>
        e.gatedActivationBackward(kind, gate, up, dOut, dUp, dGate),
    }),
  },
  "scatterAdd takes the last of rows that come again": {
    cases: "scatterAdd",
    wrong: (e) => ({
      scatterAdd(src, rows, dst) {
        rows.forEach((row, i) => {
          if (rows.lastIndexOf(row) === i) e.add(1, src.view(i, 0, 1, src.cols), dst.view(row, 0, 1, dst.cols));
        });
      },
    }),
  },
  "scatterAdd adds from the last row on": {
    cases: "scatterAdd",
    wrong: (e) => ({
      scatterAdd(src, rows, dst) {
        for (let i = rows.length - 1; i >= 0; i--) {
          e.add(1, src.view(i, 0, 1, src.cols), dst.view(rows[i], 0, 1, dst.cols));
        }
      },
    }),
  },
  "decay goes through the moments": {
    cases: "adamW",
    wrong: (e) => ({
      adamW(param, grad, m, v, step) {
        if (param.dtype === "f32") e.add(step.weightDecay / step.scale, param, grad);
        e.adamW(param, grad, m, v, { ...step, weightDecay: 0 });
      },
    }),
  },
  "the first moment is not corrected": {
    cases: "adamW",
    wrong: (e) => ({
      adamW: (param, grad, m, v, step) =>
        e.adamW(param, grad, m, v, { ...step, lr: step.lr * (1 - step.beta1 ** step.step) }),
    }),
  },
  "bf16 parameters are cut off instead of rounded": {
    cases: "adamW on bf16",
    wrong: (e) => ({
      adamW(param, grad, m, v, step) {
        if (param.dtype === "f32") return e.adamW(param, grad, m, v, step);
        using wide = e.alloc(param.rows, param.cols);
        e.convert(param, wide);
        e.adamW(wide, grad, m, v, step);
        const bits = new Uint32Array(e.read(wide).buffer);
        e.write(
          param,
          Uint16Array.from(bits, (b) => b >>> 16),
        );
      },
    }),
  },
  "an operation writes beyond its view": {
    cases: "add",
    wrong(e) {
      let newest: Matrix;
      return {
        alloc(rows, cols, dtype) {
          newest = e.alloc(rows, cols, dtype);
          return newest;
        },
        add(alpha, a, c) {
          e.add(alpha, a, c);
          e.fill(newest.view(0, 0, 1, 1), 0);
        },
      };
    },
  },
  "a new matrix is not cleared": {
    cases: "a new matrix",
    wrong: (e) => ({
      alloc(rows, cols, dtype) {
        const m = e.alloc(rows, cols, dtype);
        if (rows === 61) e.fill(half(m), 1);
        return m;
      },
    }),
  },
  "shapes are not checked": {
    cases: "gemm refuses",
    wrong: () => ({ gemm: () => {} }),
  },
};

/** `e` with some operations replaced. It claims to be an f32 engine, so that the wider tolerances must find the plant. */
function planted(e: Engine, wrong: Partial<Engine>): Engine {
  const changed: Partial<Engine> = { ...wrong, info: { ...e.info, name: "native" } };
  return new Proxy(e, {
    get(target, key) {
      const value = Reflect.get(changed, key) ?? Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Whether one of the cases fails. */
async function found(engine: Engine, begin: string): Promise<boolean> {
  const chosen = Object.values(cases).flatMap((list) => list.filter(({ name }) => name.startsWith(begin)));
  for (const { run } of chosen) {
    try {
      const trial = new Trial(engine);
      await run(trial, async () => engine);
      trial.finish();
    } catch {
      return true;
    }
  }
  return false;
}

for (const [name, { cases, wrong }] of Object.entries(plants)) {
  test(`the cases find a plant: ${name}`, async () => {
    const { engine } = await openEngine("reference");
    using _ = engine;
    expect(await found(planted(engine, wrong(engine)), cases)).toBe(true);
  });
}
