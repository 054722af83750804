import { type Engine, type Matrix, NotPositiveDefiniteError } from "@safedelta/engine";
import { CoreError } from "./errors.ts";
import { checkShape, copyOf, make } from "./matrix.ts";

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

/** All that repairs need of one group (linears that share an input): made once for an aligned model. */
export interface PreparedGroup {
  readonly cols: number;
  readonly inverse?: InverseFactor;
  readonly ordered?: OrderedFactor;
  readonly spectrum?: Spectrum;
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
function factorInPlace(engine: Engine, h: Matrix): void {
  try {
    engine.choleskyReverse(h);
  } catch (error) {
    if (!(error instanceof NotPositiveDefiniteError)) throw error;
    throw new CoreError("notPositiveDefinite", error.message, { cause: error });
  }
}
