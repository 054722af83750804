/**
 * The contract of every engine (WASM, native, CUDA, the f64 reference).
 *
 * The level is BLAS and a few model operations; nothing here knows about files, text or safety. Matrices are row-major and
 * live in engine memory between operations. Every operation checks shapes before it computes and throws `EngineError`; so it
 * does for a disposed matrix and for one of another engine. Sizes may be 0. Element-wise operations may write exactly in place,
 * but not onto a shifted overlap. Same input, same engine: the same bytes. Notation: op(A) is A or Aᵀ; R is upper triangular.
 */

/** Storage type of a matrix. Arithmetic is f32 with f32 accumulation (f64 in the reference engine). */
export type DType = "f32" | "f16" | "bf16";

/** Bytes of one stored element. */
export const dtypeBytes: Record<DType, number> = { f32: 4, f16: 2, bf16: 2 };

/** Values as they cross the border: f32 numbers, or the raw 16-bit patterns of f16/bf16. */
export type Values = Float32Array | Uint16Array;

/**
 * A row-major matrix (or a rectangular view of one) in engine memory. Element (i, j) lies `stride` elements after (i − 1, j).
 * Disposing a view is a no-op; disposing the owner ends all its views. Use after disposal throws.
 */
export interface Matrix extends Disposable {
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
  readonly dtype: DType;
  /** The block of `rows` x `cols` elements whose first element is (row, col); shares storage. */
  view(row: number, col: number, rows: number, cols: number): Matrix;
}

/** Eigenvalues in ascending order and the matching orthonormal eigenvectors as columns. */
export interface Eigen {
  /** n values, ascending. */
  readonly values: Float64Array;
  /** n x n; column j belongs to values[j]. The caller disposes it. */
  readonly vectors: Matrix;
}

/** What an engine is and has, for reports and `doctor`. */
export interface EngineInfo {
  readonly name: "reference" | "wasm" | "native" | "cuda";
  /** One line: build, instruction set, device. */
  readonly description: string;
  readonly version: string;
  readonly threads: number;
  /** Of devices with memory of their own, all together. */
  readonly memoryBytes?: number;
}

/** An open engine as another thread of the process finds it: plain values, to be sent there. */
export interface EngineLoan {
  /** The library. */
  readonly path: string;
  /** Of the engine in it. */
  readonly address: number;
  readonly info: EngineInfo;
}

/** Shape of multi-head attention: `nHeads` query heads share `nKvHeads` key/value heads of `headDim` numbers each. */
export interface AttentionShape {
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  /** Factor on the scores, usually 1/√headDim. */
  readonly scale: number;
}

/** One step of AdamW; where nothing else is said, as PyTorch's arguments of these names. */
export interface AdamWStep {
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Number of this step, from 1: the power of the bias corrections. */
  readonly step: number;
  /** Factor on the gradient as it is read (clipping, accumulation). */
  readonly scale: number;
}

export interface Engine extends Disposable {
  readonly info: EngineInfo;
  /** Bytes held by live matrices, and the most ever held at once. */
  readonly bytesInUse: number;
  readonly peakBytes: number;
  /** Engines of further devices of the same kind, which may share the work and give the same bytes; they end with this one. */
  readonly peers?: readonly Engine[];
  /** For `borrowEngine` in another thread; this one does not use the engine meanwhile. */
  readonly loan?: EngineLoan;

  // ---- memory -------------------------------------------------------------------------------------------------------------
  /** A new zero-filled rows x cols matrix (dtype f32 unless given). Throws `EngineMemoryError` when memory is short. */
  alloc(rows: number, cols: number, dtype?: DType): Matrix;
  /** Copy `values` (row-major, rows·cols of them, of m's dtype: Float32Array for f32, else Uint16Array) into m. */
  write(m: Matrix, values: Values): void;
  /** Copy m out, row-major: Float32Array for f32, else Uint16Array bit patterns. */
  read(m: Matrix): Values;
  /** dst := src with conversion between dtypes (round to nearest even; overflow to ±Inf as IEEE says). Same shape. */
  convert(src: Matrix, dst: Matrix): void;
  /** m := value everywhere. */
  fill(m: Matrix, value: number): void;

  // ---- dense algebra, f32 ---------------------------------------------------------------------------------------------------
  /** C := alpha · op(A) op(B) + beta · C. C overlaps neither A nor B. beta = 0 ignores what C held, NaN included. */
  gemm(alpha: number, a: Matrix, transA: boolean, b: Matrix, transB: boolean, beta: number, c: Matrix): void;
  /** Upper triangle (with diagonal) of C := alpha · AᵀA + beta · C, A being k x n and C n x n. Strictly lower part: unspecified. */
  syrk(alpha: number, a: Matrix, beta: number, c: Matrix): void;
  /** Copy the upper triangle of the square m onto its lower one. */
  mirror(m: Matrix): void;
  /**
   * Reverse Cholesky in place: the upper triangle of SPD H becomes the upper triangular R with H = R Rᵀ (positive diagonal);
   * the strictly lower part becomes zero. Elimination goes from the last row up; throws `NotPositiveDefiniteError` with the first
   * bad pivot it meets, as the row in h.
   */
  choleskyReverse(h: Matrix): void;
  /** In place R := R⁻¹ for upper triangular R (strictly lower part is neither read nor written). Throws on a zero diagonal. */
  invertTriangle(r: Matrix): void;
  /** B := B · op(R), R upper triangular n x n (what lies below its diagonal is not read), B m x n. */
  trmm(b: Matrix, r: Matrix, transR: boolean): void;
  /** B := B · op(R)⁻¹, R as in trmm, B m x n. Throws on a zero diagonal. */
  trsm(b: Matrix, r: Matrix, transR: boolean): void;
  /** Eigendecomposition of the symmetric h (upper triangle read; h is left as it is). Throws on NaN or infinity. */
  eigh(h: Matrix): Eigen;

  // ---- element-wise and index operations, f32 ------------------------------------------------------------------------------
  /** C := alpha · A + C. */
  add(alpha: number, a: Matrix, c: Matrix): void;
  /** Column j of m := factors[j] · column j. */
  scaleCols(m: Matrix, factors: Float32Array): void;
  /** Sum over rows of m[i][j]², in f64, for each column j. */
  columnSquares(m: Matrix): Float64Array;
  /** dst[i][j] := src[rows[i]][cols[j]]; null means every row (column) in order. Any dtype, the same on both sides. */
  gather(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void;
  /** dst[rows[i]][cols[j]] := src[i][j]; null as in gather. Throws on a repeated index. Other elements of dst stay. */
  scatter(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void;

  // ---- model, f32; one row is one token ---------------------------------------------------------------------------------
  /** out := x / √(mean(x²) + eps) · (weight + offset), row by row; weight is 1 x cols. out may be x. */
  rmsNorm(x: Matrix, weight: Matrix, eps: number, offset: number, out: Matrix): void;
  /** Add the 1 x cols bias to every row of x. */
  addBias(x: Matrix, bias: Matrix): void;
  /**
   * Rotary position embedding in place, Hugging Face order (pairs lie half a head apart): for each head of x (n x heads·headDim)
   * (a, b) := (a·cos − b·sin, b·cos + a·sin), with row t of cos and sin (each n x headDim/2) for row t of x.
   */
  rotary(x: Matrix, cos: Matrix, sin: Matrix, headDim: number): void;
  /**
   * Causal attention of one sequence. q: n x nHeads·headDim; k, v: (past + n) x nKvHeads·headDim; out like q. Query row i sees
   * key rows 0 … past + i. Softmax in f32 with the maximum subtracted.
   */
  attention(q: Matrix, k: Matrix, v: Matrix, shape: AttentionShape, out: Matrix): void;
  /** gate := activation(gate) · up, element-wise. `silu`: x/(1+e⁻ˣ); `geluTanh`: the tanh approximation of GELU. */
  gatedActivation(kind: "silu" | "geluTanh", gate: Matrix, up: Matrix): void;

  // ---- training, f32 ------------------------------------------------------------------------------------------------------
  /**
   * out := the gradient of the sum of losses with respect to logits (n x vocabulary): softmax − one-hot, row by row, the maximum
   * subtracted. A row whose target is −1 counts nothing and its gradient is zero. out may be logits.
   * @returns the sum of −log softmax(logits[t])[targets[t]] over the rows that count, summed in f64
   */
  softmaxCrossEntropy(logits: Matrix, targets: Int32Array, out: Matrix): number;
  /**
   * Gradients of rmsNorm, given that of its result: dX := that of x, dWeight (1 x cols) += that of the weight. dX may be dOut or x.
   */
  rmsNormBackward(
    x: Matrix,
    weight: Matrix,
    eps: number,
    offset: number,
    dOut: Matrix,
    dX: Matrix,
    dWeight: Matrix,
  ): void;
  /**
   * Gradients of attention over one sequence without a past: q, dQ, out and dOut are n x nHeads·headDim, k, v, dK and dV
   * n x nKvHeads·headDim. `out` is what attention gave; probabilities are computed anew, some queries at a time. dK and dV are sums
   * over the query heads that share them. What is written overlaps nothing else.
   */
  attentionBackward(
    q: Matrix,
    k: Matrix,
    v: Matrix,
    shape: AttentionShape,
    out: Matrix,
    dOut: Matrix,
    dQ: Matrix,
    dK: Matrix,
    dV: Matrix,
  ): void;
  /**
   * Gradients of gatedActivation, gate and up being those of before: dGate := dOut · up · activation′(gate),
   * dUp := dOut · activation(gate). Each may be gate, up or dOut.
   */
  gatedActivationBackward(
    kind: "silu" | "geluTanh",
    gate: Matrix,
    up: Matrix,
    dOut: Matrix,
    dGate: Matrix,
    dUp: Matrix,
  ): void;
  /** dst[rows[i]] += src[i], i in ascending order; an index may come again. */
  scatterAdd(src: Matrix, rows: Int32Array, dst: Matrix): void;
  /**
   * One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101) as PyTorch takes it, element by element: param *= 1 − lr · weightDecay;
   * with g = scale · grad, m += (1 − beta1)(g − m), v := beta2 · v + (1 − beta2) g²;
   * param −= lr / (1 − beta1ᵗ) · m / (√v / √(1 − beta2ᵗ) + eps). param is f32 or bf16, which is rounded once, after the step.
   */
  adamW(param: Matrix, grad: Matrix, m: Matrix, v: Matrix, step: AdamWStep): void;
}

/** Wrong use of an engine (shapes, dtypes, disposed handles) or a failure inside it. Names the operation and the numbers. */
export class EngineError extends Error {
  override name = "EngineError";
  constructor(
    readonly operation: string,
    /** The message without the operation. */
    readonly reason: string,
  ) {
    super(operation === "open" ? reason : `${operation}: ${reason}`);
  }
}

/** The engine could not hold the asked matrix. */
export class EngineMemoryError extends EngineError {
  override name = "EngineMemoryError";
  constructor(
    operation: string,
    readonly neededBytes: number,
    message: string,
  ) {
    super(operation, message);
  }
}

/** A Cholesky pivot was zero, negative or not a number. */
export class NotPositiveDefiniteError extends EngineError {
  override name = "NotPositiveDefiniteError";
  constructor(
    operation: string,
    /** Row and column of the pivot in the given matrix. */
    readonly pivot: number,
    readonly size: number,
  ) {
    super(
      operation,
      `the ${size} x ${size} matrix is not positive definite (pivot ${pivot}). Raise the damping or give more safe examples.`,
    );
  }
}

/** A variable of the environment says what cannot be; it is never passed over, with `auto` neither. */
export class EngineSettingError extends EngineError {
  override name = "EngineSettingError";
}

/** No engine of the asked kind could be opened; the message lists every one tried with its reason. */
export class EngineUnavailableError extends EngineError {
  override name = "EngineUnavailableError";
}
