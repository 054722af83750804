import type { Engine, Matrix } from "@safedelta/engine";
import { type Case, type Deviation, Inputs, type PeerTask } from "../case.ts";
import { deviation, Probe } from "../probe.ts";

/** An operation that overwrites `target`, which is brought back before each run. */
interface InPlace {
  readonly target: Matrix;
  run(): void;
  check(original: Matrix): Deviation;
}

function inPlace(
  op: PeerTask["op"],
  n: number,
  flops: number,
  make: (engine: Engine, inputs: Inputs, probe: Probe) => InPlace,
): Case {
  return {
    name: `${op} ${n}`,
    flops,
    peer: { op, m: n, n, k: n },
    prepare(engine) {
      const inputs = new Inputs(engine);
      const { target, run, check } = make(engine, inputs, new Probe(engine));
      const original = inputs.copy(target);
      return {
        reset: () => engine.convert(original, target),
        run,
        check: () => check(original),
        [Symbol.dispose]: () => inputs[Symbol.dispose](),
      };
    },
  };
}

function cholesky(n: number): Case {
  return inPlace("cholesky", n, n ** 3 / 3, (engine, inputs, probe) => {
    const target = inputs.definite(n);
    return {
      target,
      run: () => engine.choleskyReverse(target),
      check(original) {
        const x = probe.signs(n);
        return deviation(probe.times(target, probe.timesTransposed(target, x)), probe.times(original, x), n);
      },
    };
  });
}

function inverse(n: number): Case {
  return inPlace("inverse", n, n ** 3 / 3, (engine, inputs, probe) => {
    const target = inputs.triangle(n);
    return {
      target,
      run: () => engine.invertTriangle(target),
      check(original) {
        const x = probe.signs(n);
        return deviation(probe.times(original, probe.times(target, x)), x, n);
      },
    };
  });
}

/** B := B R and B := B R⁻¹ with a square B. */
function triangular(op: "trmm" | "trsm", n: number): Case {
  return inPlace(op, n, n ** 3, (engine, inputs, probe) => {
    const [target, r] = [inputs.matrix(n, n), inputs.triangle(n)];
    return {
      target,
      run: () => engine[op](target, r, false),
      check(original) {
        const [product, factor] = op === "trmm" ? [target, original] : [original, target];
        const x = probe.signs(n);
        return deviation(probe.times(factor, probe.times(r, x)), probe.times(product, x), n);
      },
    };
  });
}

/** The last decomposition is kept for the check: h v = V (Σ (Vᵀ v)). */
function eigh(n: number): Case {
  return {
    name: `eigh ${n}`,
    peer: { op: "eigh", m: n, n, k: n },
    prepare(engine) {
      const inputs = new Inputs(engine);
      const h = inputs.definite(n);
      const probe = new Probe(engine);
      let last = engine.eigh(h);
      return {
        run() {
          last.vectors[Symbol.dispose]();
          last = engine.eigh(h);
        },
        check() {
          const x = probe.signs(n);
          const inBasis = probe.timesTransposed(last.vectors, x).map((value, i) => value * last.values[i]);
          return deviation(probe.times(last.vectors, inBasis), probe.times(h, x), n);
        },
        [Symbol.dispose]() {
          last.vectors[Symbol.dispose]();
          inputs[Symbol.dispose]();
        },
      };
    },
  };
}

export const triangularCases: readonly Case[] = [
  ...[576, 1024, 2048, 4096].flatMap((n) => [cholesky(n), inverse(n), triangular("trmm", n), triangular("trsm", n)]),
  eigh(576),
];
