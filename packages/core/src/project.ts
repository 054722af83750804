import type { Engine, Matrix } from "@safedelta/engine";
import { CoreError } from "./errors.ts";
import { difference, make, owning, product, squaredNorm } from "./matrix.ts";
import type { Weights } from "./repair.ts";

/** C Δ (rows x cols, the caller disposes it) and its cosine to Δ as one long vector, rounded to 5 digits as the official code does. */
export interface Projection {
  readonly projected: Matrix;
  readonly cosine: number;
}

/**
 * Project Δ onto what alignment changed: C = V Vᵀ/‖V‖, V = aligned − third. Of the products that make V Vᵀ Δ the smaller is made first.
 * @throws CoreError `noDirection` when V is zero
 */
export function projectDelta(engine: Engine, { aligned, tuned }: Weights, third: Matrix): Projection {
  using v = difference(engine, aligned, third);
  const norm = Math.sqrt(squaredNorm(engine, v));
  if (norm === 0) {
    const why = "The aligned weight equals the other model's, so there is no direction of alignment to project on";
    throw new CoreError("noDirection", `${why}. Give the model from before alignment.`);
  }
  using delta = difference(engine, tuned, aligned);
  const projected = aligned.rows <= aligned.cols ? byRows(engine, v, delta, norm) : byCols(engine, v, delta, norm);
  return owning(projected, () => ({ projected, cosine: cosineOf(engine, projected, delta) }));
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

/** From ‖a/‖a‖ + b/‖b‖‖² = 2 + 2 cos, whose squares are summed in f64; 0 beside a zero, as torch has it. */
function cosineOf(engine: Engine, a: Matrix, b: Matrix): number {
  const [normA, normB] = [a, b].map((m) => Math.sqrt(squaredNorm(engine, m)));
  if (normA === 0 || normB === 0) return 0;
  using sum = make(engine, a.rows, a.cols, (out) => {
    engine.add(1 / normA, a, out);
    engine.add(1 / normB, b, out);
  });
  return Math.round(1e5 * (squaredNorm(engine, sum) / 2 - 1)) / 1e5;
}
