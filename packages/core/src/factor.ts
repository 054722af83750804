import { type Engine, type Matrix, NotPositiveDefiniteError } from "@safedelta/engine";
import { CoreError } from "./errors.ts";
import { checkShape, copyOf, make, squaredNorm } from "./matrix.ts";

/** U upper (cols x cols), H⁻¹ = Uᵀ U: for `reference`, `none` and `paper`. Disposing it disposes U. */
export interface InverseFactor extends Disposable {
  readonly u: Matrix;
}

/** For `exact`: columns in ascending order of 1/[H⁻¹]_jj, ties by index; the permuted H = R Rᵀ. Disposing it disposes R. */
export interface OrderedFactor extends Disposable {
  /** order[k]: the column at place k. */
  readonly order: Int32Array;
  /** 1/[H⁻¹]_jj of the column at place k, ascending. */
  readonly sensitivity: Float64Array;
  /** R upper, cols x cols. */
  readonly r: Matrix;
}

/** For `optimal`: H = Q diag(values) Qᵀ. Disposing it disposes Q. */
export interface Spectrum extends Disposable {
  /** Ascending, all positive; their mean is mean(diag H), the unit of `strength`. */
  readonly values: Float64Array;
  /** Q, cols x cols, eigenvectors as columns. */
  readonly vectors: Matrix;
}

/** For `optimal` where the eigendecomposition would cost too much: H and its root. Disposing it disposes both. */
export interface DampedHessian extends Disposable {
  /** H, cols x cols; its upper triangle is read. */
  readonly h: Matrix;
  /** R upper, H = R Rᵀ: the safety loss of any D is ½ ‖D R‖². */
  readonly r: Matrix;
  /** mean(diag H), the unit of `strength`. */
  readonly unit: number;
}

/** What `optimal` works from; both give the same repairs, within rounding. */
export type OptimalFactor = Spectrum | DampedHessian;

/** All that repairs need of one group (linears that share an input): made once for an aligned model. */
export interface PreparedGroup {
  readonly cols: number;
  readonly inverse?: InverseFactor;
  readonly ordered?: OrderedFactor;
  /** For `optimal`, one of these. */
  readonly spectrum?: Spectrum;
  readonly hessian?: DampedHessian;
}

/** The factor that `optimal` works from. @throws CoreError `missingFactor` */
export function optimalFactorOf({ spectrum, hessian }: PreparedGroup): OptimalFactor {
  const factor = spectrum ?? hessian;
  if (factor) return factor;
  throw new CoreError("missingFactor", 'The state holds no factor for mode "optimal": prepare again with this mode.');
}

/**
 * U with H⁻¹ = Uᵀ U, by reverse Cholesky and one triangular inverse (2/3 n³ flops). `damped` is left as it is.
 * @param damped H after `finishHessian`, cols x cols
 * @throws CoreError `shape`, `notPositiveDefinite`
 */
export function inverseFactor(engine: Engine, damped: Matrix): InverseFactor {
  checkShape("The Hessian", damped, damped.cols, damped.cols);
  const u = copyOf(engine, damped, (copy) => {
    factorInPlace(engine, copy);
    engine.invertTriangle(copy);
  });
  return inverseFactorOf(u);
}

/**
 * Column order and factor for `exact`. `damped` is left as it is; `inverse`, when at hand, spares its computation.
 * @param damped H after `finishHessian`, cols x cols
 * @throws CoreError `shape`, `notPositiveDefinite`
 */
export function orderedFactor(engine: Engine, damped: Matrix, inverse?: InverseFactor): OrderedFactor {
  const byColumn = inverse ? sensitivityOf(engine, inverse) : ownSensitivity(engine, damped);
  const order = Int32Array.from(byColumn.keys()).sort((a, b) => byColumn[a] - byColumn[b] || a - b);
  const r = make(engine, damped.cols, damped.cols, (permuted) => {
    engine.gather(damped, order, order, permuted);
    factorInPlace(engine, permuted);
  });
  const sensitivity = Float64Array.from(order, (j) => byColumn[j]);
  return orderedFactorOf(order, sensitivity, r);
}

/** 1/[H⁻¹]_jj for each column j, from the column norms of U. */
export function sensitivityOf(engine: Engine, { u }: InverseFactor): Float64Array {
  return engine.columnSquares(u).map((value) => 1 / value);
}

function ownSensitivity(engine: Engine, damped: Matrix): Float64Array {
  using inverse = inverseFactor(engine, damped);
  return sensitivityOf(engine, inverse);
}

/**
 * Eigendecomposition for `optimal`. `damped` is left as it is.
 * @param damped H after `finishHessian`, cols x cols
 * @throws CoreError `shape`, or `notPositiveDefinite` when an eigenvalue is not positive
 */
export function spectrum(engine: Engine, damped: Matrix): Spectrum {
  checkShape("The Hessian", damped, damped.cols, damped.cols);
  const { values, vectors } = engine.eigh(damped);
  if (values[0] > 0) return spectrumOf(values, vectors);
  vectors[Symbol.dispose]();
  throw new CoreError(
    "notPositiveDefinite",
    `The ${damped.cols} x ${damped.cols} Hessian has the eigenvalue ${values[0]}. Give more safe examples.`,
  );
}

/**
 * H and its root for `optimal`, by one reverse Cholesky (n³/3 flops). `damped` is left as it is.
 * @param damped H after `finishHessian`, cols x cols
 * @throws CoreError `shape`, `notPositiveDefinite`
 */
export function dampedHessian(engine: Engine, damped: Matrix): DampedHessian {
  checkShape("The Hessian", damped, damped.cols, damped.cols);
  return dampedHessianOf(engine, copyOf(engine, damped));
}

/** As `dampedHessian`, of a stored H (its upper triangle), which the result takes over; it is disposed when this throws. */
export function dampedHessianOf(engine: Engine, h: Matrix): DampedHessian {
  using held = new DisposableStack();
  held.use(h);
  const r = held.use(rootOf(engine, h));
  const unit = squaredNorm(engine, r) / h.cols; // ‖R‖² = tr H
  const both = held.move();
  return { h, r, unit, [Symbol.dispose]: () => both.dispose() };
}

/** R upper with m = R Rᵀ, new. @throws CoreError `notPositiveDefinite` */
export function rootOf(engine: Engine, m: Matrix): Matrix {
  return copyOf(engine, m, (copy) => factorInPlace(engine, copy));
}

/** Wrap a stored U (cols x cols); disposing the factor disposes it. */
export function inverseFactorOf(u: Matrix): InverseFactor {
  return { u, [Symbol.dispose]: () => u[Symbol.dispose]() };
}

/** Wrap a stored R (cols x cols) with its order and sensitivities; disposing the factor disposes R. */
export function orderedFactorOf(order: Int32Array, sensitivity: Float64Array, r: Matrix): OrderedFactor {
  return { order, sensitivity, r, [Symbol.dispose]: () => r[Symbol.dispose]() };
}

/** Wrap stored eigenvalues and eigenvectors (cols x cols); disposing the spectrum disposes the vectors. */
export function spectrumOf(values: Float64Array, vectors: Matrix): Spectrum {
  return { values, vectors, [Symbol.dispose]: () => vectors[Symbol.dispose]() };
}

/** Reverse Cholesky of h. @throws CoreError `notPositiveDefinite` */
export function factorInPlace(engine: Engine, h: Matrix): void {
  try {
    engine.choleskyReverse(h);
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    throw new CoreError("notPositiveDefinite", error.message, { cause: error });
  }
}
