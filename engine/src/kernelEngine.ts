import { adamWFactors } from "./adamW.ts";
import * as check from "./checks.ts";
import {
  type AdamWStep,
  type AttentionShape,
  type DType,
  dtypeBytes,
  type Eigen,
  type Engine,
  EngineError,
  type EngineInfo,
  type EngineLoan,
  type Matrix,
  NotPositiveDefiniteError,
  type Values,
} from "./engine.ts";
import { type Allocation, KernelMatrix } from "./kernelMatrix.ts";
import { activationCodes, dtypeCodes, type Kernels, type Status, statusCodes } from "./kernels.ts";
import * as checkTraining from "./trainingChecks.ts";

/** The contract over raw kernels: handles, checks and errors. Owns the kernels. */
export class KernelEngine implements Engine {
  private readonly live = new Set<Allocation>();
  private heldBytes = 0;
  private mostBytes = 0;
  private open = true;

  constructor(
    readonly info: EngineInfo,
    private readonly kernels: Kernels,
    readonly loan?: EngineLoan,
    readonly peers?: readonly Engine[],
  ) {}

  get bytesInUse(): number {
    return this.heldBytes;
  }

  get peakBytes(): number {
    return this.mostBytes;
  }

  [Symbol.dispose](): void {
    if (!this.open) return;
    for (const peer of this.peers ?? []) peer[Symbol.dispose]();
    for (const allocation of this.live) this.release(allocation);
    this.open = false;
    this.kernels.close();
  }

  // ---- memory -------------------------------------------------------------------------------------------------------------
  alloc(rows: number, cols: number, dtype: DType = "f32"): Matrix {
    return this.hold("alloc", rows, cols, dtype);
  }

  private hold(operation: string, rows: number, cols: number, dtype: DType): KernelMatrix {
    if (!this.open) throw new EngineError(operation, "the engine was disposed");
    check.checkAlloc(rows, cols);
    const bytes = rows * cols * dtypeBytes[dtype];
    const allocation: Allocation = { address: this.kernels.alloc(operation, bytes), bytes, live: true };
    this.live.add(allocation);
    this.heldBytes += bytes;
    this.mostBytes = Math.max(this.mostBytes, this.heldBytes);
    return new KernelMatrix(allocation, 0, rows, cols, cols, dtype, () => this.release(allocation));
  }

  private release(allocation: Allocation): void {
    if (!this.live.delete(allocation)) return;
    allocation.live = false;
    this.heldBytes -= allocation.bytes;
    this.kernels.free(allocation.address, allocation.bytes);
  }

  /** Our own live handles behind the given matrices. */
  private own<M extends Matrix[]>(operation: string, ...matrices: M): { [K in keyof M]: KernelMatrix } {
    for (const m of matrices) {
      if (m instanceof KernelMatrix && this.live.has(m.allocation)) continue;
      throw new EngineError(operation, `the ${m.rows} x ${m.cols} matrix was disposed or belongs to another engine`);
    }
    return matrices as { [K in keyof M]: KernelMatrix };
  }

  /** A square f32 matrix. */
  private square(operation: string, m: Matrix): KernelMatrix {
    const [own] = this.own(operation, m);
    check.checkSquare(operation, own);
    return own;
  }

  /** Runs of bytes that lie together, and how far apart they begin: one run where the matrix is dense. */
  private runs(m: KernelMatrix): { pitchBytes: number; rowBytes: number; rows: number } {
    const elementBytes = dtypeBytes[m.dtype];
    if (m.stride !== m.cols)
      return { pitchBytes: m.stride * elementBytes, rowBytes: m.cols * elementBytes, rows: m.rows };
    const bytes = m.rows * m.cols * elementBytes;
    return { pitchBytes: bytes, rowBytes: bytes, rows: 1 };
  }

  write(m: Matrix, values: Values): void {
    const [own] = this.own("write", m);
    check.checkWrite(own, values);
    if (values.length === 0) return;
    const source = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const { pitchBytes, rowBytes, rows } = this.runs(own);
    this.finish("write", this.kernels.write(own.address, pitchBytes, source, rowBytes, rows));
  }

  read(m: Matrix): Values {
    const [own] = this.own("read", m);
    const values = new (check.valuesClass(own.dtype))(own.rows * own.cols);
    if (values.length === 0) return values;
    const { pitchBytes, rowBytes, rows } = this.runs(own);
    const target = new Uint8Array(values.buffer);
    this.finish("read", this.kernels.read(own.address, pitchBytes, target, rowBytes, rows));
    return values;
  }

  convert(src: Matrix, dst: Matrix): void {
    const [from, to] = this.own("convert", src, dst);
    check.checkConvert(from, to);
    const [source, target] = [dtypeCodes[from.dtype], dtypeCodes[to.dtype]];
    const places = [from.address, source, from.stride, to.address, target, to.stride] as const;
    this.finish("convert", this.kernels.convert(...places, from.rows, from.cols));
  }

  fill(m: Matrix, value: number): void {
    const [own] = this.own("fill", m);
    const { address, rows, cols, stride } = own;
    this.finish("fill", this.kernels.fill(address, dtypeCodes[own.dtype], rows, cols, stride, value));
  }

  // ---- dense algebra --------------------------------------------------------------------------------------------------------
  /** Turn the status of a kernel into nothing or an error; `badPivot` says what p + 1 means. */
  private finish(operation: string, status: Status, badPivot?: (row: number) => EngineError): void {
    if (status === 0) return;
    if (status > 0 && badPivot) throw badPivot(status - 1);
    if (status === statusCodes.outOfMemory) throw this.kernels.outOfMemory(operation);
    if (status === statusCodes.notFinite) throw new EngineError(operation, "the matrix holds NaN or infinity");
    if (status === statusCodes.noConvergence) throw new EngineError(operation, "the iteration did not converge");
    throw new EngineError(operation, this.kernels.explain(status));
  }

  gemm(alpha: number, a: Matrix, transA: boolean, b: Matrix, transB: boolean, beta: number, c: Matrix): void {
    const [A, B, C] = this.own("gemm", a, b, c);
    check.checkGemm(A, transA, B, transB, C);
    const left = [A.address, A.rows, A.cols, A.stride, transA] as const;
    const right = [B.address, B.rows, B.cols, B.stride, transB] as const;
    this.finish("gemm", this.kernels.gemm(alpha, ...left, ...right, beta, C.address, C.rows, C.cols, C.stride));
  }

  syrk(alpha: number, a: Matrix, beta: number, c: Matrix): void {
    const [A, C] = this.own("syrk", a, c);
    check.checkSyrk(A, C);
    this.finish("syrk", this.kernels.syrk(alpha, A.address, A.rows, A.cols, A.stride, beta, C.address, C.stride));
  }

  mirror(m: Matrix): void {
    const own = this.square("mirror", m);
    this.finish("mirror", this.kernels.mirror(own.address, own.rows, own.stride));
  }

  choleskyReverse(h: Matrix): void {
    const H = this.square("choleskyReverse", h);
    const status = this.kernels.choleskyReverse(H.address, H.rows, H.stride);
    this.finish("choleskyReverse", status, (row) => new NotPositiveDefiniteError("choleskyReverse", row, H.rows));
  }

  invertTriangle(r: Matrix): void {
    const R = this.square("invertTriangle", r);
    const status = this.kernels.invertTriangle(R.address, R.rows, R.stride);
    this.finish("invertTriangle", status, (row) => zeroDiagonal("invertTriangle", row, R));
  }

  trmm(b: Matrix, r: Matrix, transR: boolean): void {
    const [B, R] = this.own("trmm", b, r);
    check.checkTriangular("trmm", B, R);
    this.finish("trmm", this.kernels.trmm(B.address, B.rows, B.cols, B.stride, R.address, R.stride, transR));
  }

  trsm(b: Matrix, r: Matrix, transR: boolean): void {
    const [B, R] = this.own("trsm", b, r);
    check.checkTriangular("trsm", B, R);
    const status = this.kernels.trsm(B.address, B.rows, B.cols, B.stride, R.address, R.stride, transR);
    this.finish("trsm", status, (row) => zeroDiagonal("trsm", row, R));
  }

  eigh(h: Matrix): Eigen {
    const H = this.square("eigh", h);
    const n = H.rows;
    const values = new Float64Array(n);
    const vectors = this.hold("eigh", n, n, "f32");
    try {
      this.finish("eigh", this.kernels.eigh(H.address, n, H.stride, values, vectors.address, vectors.stride));
    } catch (error) {
      vectors[Symbol.dispose]();
      throw error;
    }
    return { values, vectors };
  }

  // ---- element-wise and index operations ------------------------------------------------------------------------------------
  add(alpha: number, a: Matrix, c: Matrix): void {
    const [A, C] = this.own("add", a, c);
    check.checkAdd(A, C);
    this.finish("add", this.kernels.add(alpha, A.address, A.stride, C.address, C.stride, C.rows, C.cols));
  }

  scaleCols(m: Matrix, factors: Float32Array): void {
    const [own] = this.own("scaleCols", m);
    check.checkScaleCols(own, factors);
    this.finish("scaleCols", this.kernels.scaleCols(own.address, own.rows, own.cols, own.stride, factors));
  }

  columnSquares(m: Matrix): Float64Array {
    const [own] = this.own("columnSquares", m);
    check.checkColumnSquares(own);
    const sums = new Float64Array(own.cols);
    this.finish("columnSquares", this.kernels.columnSquares(own.address, own.rows, own.cols, own.stride, sums));
    return sums;
  }

  gather(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void {
    const [from, to] = this.own("gather", src, dst);
    check.checkGather(from, rows, cols, to);
    this.move("gather", from, rows, cols, to, to);
  }

  scatter(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void {
    const [from, to] = this.own("scatter", src, dst);
    check.checkScatter(from, rows, cols, to);
    this.move("scatter", from, rows, cols, to, from);
  }

  /** `few` is the side without indices: its size says how much is moved. */
  private move(
    operation: "gather" | "scatter",
    src: KernelMatrix,
    rows: Int32Array | null,
    cols: Int32Array | null,
    dst: KernelMatrix,
    few: KernelMatrix,
  ): void {
    const source = [dtypeBytes[src.dtype], src.address, src.stride] as const;
    const target = [dst.address, dst.stride, few.rows, few.cols] as const;
    this.finish(operation, this.kernels[operation](...source, rows, cols, ...target));
  }

  // ---- model ----------------------------------------------------------------------------------------------------------------
  rmsNorm(x: Matrix, weight: Matrix, eps: number, offset: number, out: Matrix): void {
    const [X, W, O] = this.own("rmsNorm", x, weight, out);
    check.checkRmsNorm(X, W, O);
    const places = [X.address, X.stride, W.address, eps, offset, O.address, O.stride] as const;
    this.finish("rmsNorm", this.kernels.rmsNorm(...places, X.rows, X.cols));
  }

  addBias(x: Matrix, bias: Matrix): void {
    const [X, B] = this.own("addBias", x, bias);
    check.checkAddBias(X, B);
    this.finish("addBias", this.kernels.addBias(X.address, X.rows, X.cols, X.stride, B.address));
  }

  rotary(x: Matrix, cos: Matrix, sin: Matrix, headDim: number): void {
    const [X, C, S] = this.own("rotary", x, cos, sin);
    check.checkRotary(X, C, S, headDim);
    const tables = [C.address, C.stride, S.address, S.stride] as const;
    this.finish("rotary", this.kernels.rotary(X.address, X.rows, X.cols, X.stride, ...tables, headDim));
  }

  attention(q: Matrix, k: Matrix, v: Matrix, shape: AttentionShape, out: Matrix): void {
    const [Q, K, V, O] = this.own("attention", q, k, v, out);
    check.checkAttention(Q, K, V, shape, O);
    const inputs = [Q.address, Q.stride, Q.rows, K.address, K.stride, V.address, V.stride, K.rows] as const;
    const { nHeads, nKvHeads, headDim, scale } = shape;
    const status = this.kernels.attention(...inputs, nHeads, nKvHeads, headDim, scale, O.address, O.stride);
    this.finish("attention", status);
  }

  gatedActivation(kind: "silu" | "geluTanh", gate: Matrix, up: Matrix): void {
    const [G, U] = this.own("gatedActivation", gate, up);
    check.checkGatedActivation(G, U);
    const places = [G.address, G.stride, U.address, U.stride] as const;
    this.finish("gatedActivation", this.kernels.gated(activationCodes[kind], ...places, G.rows, G.cols));
  }

  // ---- training -------------------------------------------------------------------------------------------------------------
  softmaxCrossEntropy(logits: Matrix, targets: Int32Array, out: Matrix): number {
    const [L, O] = this.own("softmaxCrossEntropy", logits, out);
    checkTraining.checkSoftmaxCrossEntropy(L, targets, O);
    if (L.rows === 0) return 0;
    const [from, to, loss] = [place(L), place(O), new Float64Array(1)];
    const status = this.kernels.softmaxCrossEntropy(...from, targets, ...to, L.rows, L.cols, loss);
    this.finish("softmaxCrossEntropy", status);
    return loss[0];
  }

  rmsNormBackward(
    x: Matrix,
    weight: Matrix,
    eps: number,
    offset: number,
    dOut: Matrix,
    dX: Matrix,
    dWeight: Matrix,
  ): void {
    const [X, W, G, DX, DW] = this.own("rmsNormBackward", x, weight, dOut, dX, dWeight);
    checkTraining.checkRmsNormBackward(X, W, G, DX, DW);
    const read = [...place(X), W.address, eps, offset, ...place(G)] as const;
    const status = this.kernels.rmsNormBackward(...read, ...place(DX), DW.address, X.rows, X.cols);
    this.finish("rmsNormBackward", status);
  }

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
  ): void {
    const [Q, K, V, O, G] = this.own("attentionBackward", q, k, v, out, dOut);
    const [DQ, DK, DV] = this.own("attentionBackward", dQ, dK, dV);
    checkTraining.checkAttentionBackward({ q: Q, k: K, v: V, out: O, dOut: G }, shape, DQ, DK, DV);
    if (Q.rows === 0) return;
    const sizes = [Q.rows, shape.nHeads, shape.nKvHeads, shape.headDim, shape.scale] as const;
    const [inputs, outputs] = [[...place(Q), ...place(K), ...place(V)] as const, [...place(O), ...place(G)] as const];
    const into = [...place(DQ), ...place(DK), ...place(DV)] as const;
    this.finish("attentionBackward", this.kernels.attentionBackward(...inputs, ...sizes, ...outputs, ...into));
  }

  gatedActivationBackward(
    kind: "silu" | "geluTanh",
    gate: Matrix,
    up: Matrix,
    dOut: Matrix,
    dGate: Matrix,
    dUp: Matrix,
  ): void {
    const [A, U, G, DA, DU] = this.own("gatedActivationBackward", gate, up, dOut, dGate, dUp);
    checkTraining.checkGatedActivationBackward(A, U, G, DA, DU);
    const places = [...place(A), ...place(U), ...place(G), ...place(DA), ...place(DU)] as const;
    const status = this.kernels.gatedBackward(activationCodes[kind], ...places, A.rows, A.cols);
    this.finish("gatedActivationBackward", status);
  }

  scatterAdd(src: Matrix, rows: Int32Array, dst: Matrix): void {
    const [from, to] = this.own("scatterAdd", src, dst);
    checkTraining.checkScatterAdd(from, rows, to);
    if (rows.length === 0) return;
    this.finish("scatterAdd", this.kernels.scatterAdd(...place(from), rows, ...place(to), from.rows, from.cols));
  }

  adamW(param: Matrix, grad: Matrix, m: Matrix, v: Matrix, step: AdamWStep): void {
    const [P, G, M, V] = this.own("adamW", param, grad, m, v);
    checkTraining.checkAdamW(P, G, M, V, step);
    const { decay, rate1, beta2, rate2, stepSize, correction, eps, scale } = adamWFactors(step);
    const places = [P.address, dtypeCodes[P.dtype], P.stride, ...place(G), ...place(M), ...place(V)] as const;
    const factors = [decay, rate1, beta2, rate2, stepSize, correction, eps, scale] as const;
    this.finish("adamW", this.kernels.adamW(...places, P.rows, P.cols, ...factors));
  }
}

/** Where a matrix lies: its address and stride. */
function place({ address, stride }: KernelMatrix): [number, number] {
  return [address, stride];
}

function zeroDiagonal(operation: string, row: number, r: Matrix): EngineError {
  return new EngineError(operation, `diagonal element ${row} of the ${r.rows} x ${r.cols} triangle is zero`);
}
