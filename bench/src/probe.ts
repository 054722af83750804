import type { Engine, Matrix } from "@safedelta/engine";
import type { Deviation } from "./case.ts";

/**
 * Answers are checked by multiplying them with one random vector in f64 (Freivalds): n² work for an n³ answer, and a wrong
 * element shows with certainty as good as one.
 */
export class Probe {
  constructor(private readonly engine: Engine) {}

  /** A vector of ±1, the same for the same length. */
  signs(length: number): Float64Array {
    let state = length;
    return Float64Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state & (2 ** 31) ? 1 : -1;
    });
  }

  /** m x. */
  times(m: Matrix, x: Float64Array): Float64Array {
    const values = this.engine.read(m);
    return Float64Array.from({ length: m.rows }, (_, i) => {
      let sum = 0;
      for (let j = 0; j < m.cols; j++) sum += values[i * m.cols + j] * x[j];
      return sum;
    });
  }

  /** mᵀ x. */
  timesTransposed(m: Matrix, x: Float64Array): Float64Array {
    const values = this.engine.read(m);
    const sums = new Float64Array(m.cols);
    for (let i = 0; i < m.rows; i++) {
      for (let j = 0; j < m.cols; j++) sums[j] += values[i * m.cols + j] * x[i];
    }
    return sums;
  }
}

/** How far `got` is from `expected`, held against sums of `depth` f32 products. */
export function deviation(got: Float64Array, expected: Float64Array, depth: number): Deviation {
  const error = norm(got.map((value, i) => value - expected[i])) / norm(expected);
  return { error, allowed: 8 * Math.sqrt(depth) * 2 ** -24 };
}

function norm(x: Float64Array): number {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}
