import type { Engine, Matrix } from "@safedelta/engine";

/** U upper (cols x cols), H⁻¹ = Uᵀ U: for `reference`, `none` and `paper`. Disposing it disposes U. */
export interface InverseFactor extends Disposable {
  readonly u: Matrix;
}

/** For `exact`: columns in ascending order of 1/[H⁻¹]_jj, ties by index; the permuted H = R Rᵀ. */
export interface OrderedFactor extends Disposable {
  /** order[k]: the column at place k. */
  readonly order: Int32Array;
  /** 1/[H⁻¹]_jj of the column at place k, ascending. */
  readonly sensitivity: Float64Array;
  /** R upper, cols x cols. */
  readonly r: Matrix;
}

/** For `optimal`: H = Q diag(values) Qᵀ. */
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
 * @throws CoreError `notPositiveDefinite`
 */
export declare function inverseFactor(engine: Engine, damped: Matrix): InverseFactor;

/**
 * Column order and factor for `exact`. `damped` is left as it is; `inverse`, when at hand, spares its computation.
 * @throws CoreError `notPositiveDefinite`
 */
export declare function orderedFactor(engine: Engine, damped: Matrix, inverse?: InverseFactor): OrderedFactor;

/**
 * Eigendecomposition for `optimal`. `damped` is left as it is.
 * @throws CoreError `notPositiveDefinite` when an eigenvalue is not positive
 */
export declare function spectrum(engine: Engine, damped: Matrix): Spectrum;

/** Wrap stored matrices as factors (a state read from disk); disposing the factor disposes them. */
export declare function inverseFactorOf(u: Matrix): InverseFactor;
export declare function orderedFactorOf(order: Int32Array, sensitivity: Float64Array, r: Matrix): OrderedFactor;
export declare function spectrumOf(values: Float64Array, vectors: Matrix): Spectrum;
