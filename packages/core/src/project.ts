import type { Engine, Matrix } from "@safedelta/engine";
import { CoreError } from "./errors.ts";
import { difference, make, owning, product, squaredNorm } from "./matrix.ts";
import type { Weights } from "./repair.ts";

/** C Δ and what is told of it. */
export interface Projection {
  /** C Δ, rows x cols; the caller disposes it. */
  readonly projected: Matrix;
  /** Of C Δ and Δ as two long vectors, rounded to 5 digits as the official code does; 0 beside a zero, as torch has it. */
  readonly cosine: number;
  /** ‖Δ‖. */
  readonly deltaNorm: number;
}

/**
 * Project Δ onto what alignment changed: C = V Vᵀ/‖V‖, V = aligned − third. Of the products that make V Vᵀ Δ the smaller is made first.
 * @throws CoreError `noDirection` when V is zero and Δ is not
 */
export function projectDelta(engine: Engine, { aligned, tuned }: Weights, third: Matrix): Projection {
  using delta = difference(engine, tuned, aligned);
  const deltaNorm = normOf(engine, delta);
  if (deltaNorm === 0) return { projected: engine.alloc(aligned.rows, aligned.cols), cosine: 0, deltaNorm };
  using v = difference(engine, aligned, third);
  const norm = normOf(engine, v);
  if (norm === 0) {
    const why = "The aligned weight equals the other model's, so there is no direction of alignment to project on";
    throw new CoreError("noDirection", `${why}. Give the model from before alignment.`);
  }
  const projected = aligned.rows <= aligned.cols ? byRows(engine, v, delta, norm) : byCols(engine, v, delta, norm);
  return owning(projected, () => ({ projected, cosine: cosineOf(engine, projected, delta, deltaNorm), deltaNorm }));
}

/** (V Vᵀ) Δ/‖V‖ by the rows x rows matrix. */
function byRows(engine: Engine, v: Matrix, delta: Matrix, norm: number): Matrix {
  using square = product(engine, v, v, true);
  return make(engine, v.rows, v.cols, (out) => engine.gemm(1 / norm, square, false, delta, false, 0, out));
}

/** V (Vᵀ Δ)/‖V‖ by the cols x cols matrix. */
function byCols(engine: Engine, v: Matrix, delta: Matrix, norm: number): Matrix {
  using square = make(engine, v.cols, v.cols, (out) => engine.gemm(1, v, true, delta, false, 0, out));
  return make(engine, v.rows, v.cols, (out) => engine.gemm(1 / norm, v, false, square, false, 0, out));
}

/** From ‖a/‖a‖ + b/‖b‖‖² = 2 + 2 cos, whose squares are summed in f64. */
function cosineOf(engine: Engine, a: Matrix, b: Matrix, normB: number): number {
  const normA = normOf(engine, a);
  if (normA === 0) return 0;
  using sum = make(engine, a.rows, a.cols, (out) => {
    engine.add(1 / normA, a, out);
    engine.add(1 / normB, b, out);
  });
  return Math.round(1e5 * (squaredNorm(engine, sum) / 2 - 1)) / 1e5;
}

function normOf(engine: Engine, m: Matrix): number {
  return Math.sqrt(squaredNorm(engine, m));
}
