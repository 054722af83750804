import { adamWFactors } from "./adamW.ts";
import * as check from "./checks.ts";
import {
  type AdamWStep,
  type AttentionShape,
  type DType,
  type Eigen,
  type Engine,
  EngineError,
  type EngineInfo,
  EngineMemoryError,
  type Matrix,
  type Values,
} from "./engine.ts";
import { attentionBackward } from "./reference/attentionBackward.ts";
import { type Block, denseCopy } from "./reference/block.ts";
import { symmetricEigen } from "./reference/eigen.ts";
import * as elementwise from "./reference/elementwise.ts";
import { type Allocation, ReferenceMatrix, type Storage } from "./reference/matrix.ts";
import * as model from "./reference/model.ts";
import * as products from "./reference/products.ts";
import * as training from "./reference/training.ts";
import * as triangular from "./reference/triangular.ts";
import * as checkTraining from "./trainingChecks.ts";

/**
 * Open the slow oracle of the tests: plain loops in f64. An "f32" matrix keeps f64 numbers and is rounded only by `read` and by
 * `convert` to 16 bits, so what other engines return can be held against it.
 */
export function openReference(): Engine {
  return new ReferenceEngine();
}

class ReferenceEngine implements Engine {
  readonly info: EngineInfo = {
    name: "reference",
    description: "plain TypeScript in f64, for tests",
    version: "1",
    threads: 1,
  };
  private readonly live = new Set<Allocation>();
  private heldBytes = 0;
  private mostBytes = 0;
  private open = true;

  get bytesInUse(): number {
    return this.heldBytes;
  }

  get peakBytes(): number {
    return this.mostBytes;
  }

  [Symbol.dispose](): void {
    for (const allocation of this.live) this.release(allocation);
    this.open = false;
  }

  // ---- memory -------------------------------------------------------------------------------------------------------------
  alloc(rows: number, cols: number, dtype: DType = "f32"): Matrix {
    if (!this.open) throw new EngineError("alloc", "the engine was disposed");
    check.checkAlloc(rows, cols);
    const allocation: Allocation = { storage: newStorage(rows * cols, dtype) };
    this.live.add(allocation);
    this.heldBytes += byteLength(allocation);
    this.mostBytes = Math.max(this.mostBytes, this.heldBytes);
    return new ReferenceMatrix(allocation, 0, rows, cols, cols, dtype, () => this.release(allocation));
  }

  private release(allocation: Allocation): void {
    if (!this.live.delete(allocation)) return;
    this.heldBytes -= byteLength(allocation);
    allocation.storage = null;
  }

  /** Our own live handles behind the given matrices. */
  private own<M extends Matrix[]>(operation: string, ...matrices: M): { [K in keyof M]: ReferenceMatrix } {
    for (const m of matrices) {
      if (m instanceof ReferenceMatrix && this.live.has(m.allocation)) continue;
      throw new EngineError(operation, `the ${m.rows} x ${m.cols} matrix was disposed or belongs to another engine`);
    }
    return matrices as { [K in keyof M]: ReferenceMatrix };
  }

  write(m: Matrix, values: Values): void {
    const [own] = this.own("write", m);
    check.checkWrite(own, values);
    own.setStorage("write", values);
  }

  read(m: Matrix): Values {
    const [own] = this.own("read", m);
    const raw = own.copyStorage("read");
    return raw instanceof Uint16Array ? raw : Float32Array.from(raw);
  }

  convert(src: Matrix, dst: Matrix): void {
    const [from, to] = this.own("convert", src, dst);
    check.checkConvert(from, to);
    to.setNumbers("convert", from.numbers("convert"));
  }

  fill(m: Matrix, value: number): void {
    const [own] = this.own("fill", m);
    own.setNumbers("fill", new Float64Array(own.size).fill(value));
  }

  // ---- dense algebra --------------------------------------------------------------------------------------------------------
  gemm(alpha: number, a: Matrix, transA: boolean, b: Matrix, transB: boolean, beta: number, c: Matrix): void {
    const [A, B, C] = this.own("gemm", a, b, c);
    check.checkGemm(A, transA, B, transB, C);
    products.gemm(alpha, A.block("gemm"), transA, B.block("gemm"), transB, beta, C.block("gemm"));
  }

  syrk(alpha: number, a: Matrix, beta: number, c: Matrix): void {
    const [A, C] = this.own("syrk", a, c);
    check.checkSyrk(A, C);
    products.syrk(alpha, A.block("syrk"), beta, C.block("syrk"));
  }

  mirror(m: Matrix): void {
    products.mirror(this.square("mirror", m));
  }

  choleskyReverse(h: Matrix): void {
    triangular.choleskyReverse(this.square("choleskyReverse", h));
  }

  invertTriangle(r: Matrix): void {
    triangular.invertTriangle(this.square("invertTriangle", r));
  }

  trmm(b: Matrix, r: Matrix, transR: boolean): void {
    const [B, R] = this.own("trmm", b, r);
    check.checkTriangular("trmm", B, R);
    triangular.trmm(B.block("trmm"), R.block("trmm"), transR);
  }

  trsm(b: Matrix, r: Matrix, transR: boolean): void {
    const [B, R] = this.own("trsm", b, r);
    check.checkTriangular("trsm", B, R);
    triangular.trsm(B.block("trsm"), R.block("trsm"), transR);
  }

  eigh(h: Matrix): Eigen {
    const n = h.rows;
    const full = denseCopy(this.square("eigh", h), false);
    products.mirror({ data: full, offset: 0, rows: n, cols: n, stride: n });
    const { values, vectors } = symmetricEigen(full, n);
    const [columns] = this.own("eigh", this.alloc(n, n));
    const rows = { data: vectors, offset: 0, rows: n, cols: n, stride: n };
    columns.setNumbers("eigh", denseCopy(rows, true));
    return { values, vectors: columns };
  }

  private square(operation: string, m: Matrix): Block {
    const [own] = this.own(operation, m);
    check.checkSquare(operation, own);
    return own.block(operation);
  }

  // ---- element-wise and index operations ------------------------------------------------------------------------------------
  add(alpha: number, a: Matrix, c: Matrix): void {
    const [A, C] = this.own("add", a, c);
    check.checkAdd(A, C);
    elementwise.add(alpha, A.block("add"), C.block("add"));
  }

  scaleCols(m: Matrix, factors: Float32Array): void {
    const [own] = this.own("scaleCols", m);
    check.checkScaleCols(own, factors);
    elementwise.scaleCols(own.block("scaleCols"), factors);
  }

  columnSquares(m: Matrix): Float64Array {
    const [own] = this.own("columnSquares", m);
    check.checkColumnSquares(own);
    return elementwise.columnSquares(own.block("columnSquares"));
  }

  gather(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void {
    const [from, to] = this.own("gather", src, dst);
    check.checkGather(from, rows, cols, to);
    const stored = from.copyStorage("gather");
    const places = elementwise.chosenPlaces(from, rows, cols);
    to.setStorage(
      "gather",
      places.map((place) => stored[place]),
    );
  }

  scatter(src: Matrix, rows: Int32Array | null, cols: Int32Array | null, dst: Matrix): void {
    const [from, to] = this.own("scatter", src, dst);
    check.checkScatter(from, rows, cols, to);
    const given = from.copyStorage("scatter");
    const stored = to.copyStorage("scatter");
    elementwise.chosenPlaces(to, rows, cols).forEach((place, i) => {
      stored[place] = given[i];
    });
    to.setStorage("scatter", stored);
  }

  // ---- model ----------------------------------------------------------------------------------------------------------------
  rmsNorm(x: Matrix, weight: Matrix, eps: number, offset: number, out: Matrix): void {
    const [X, W, O] = this.own("rmsNorm", x, weight, out);
    check.checkRmsNorm(X, W, O);
    model.rmsNorm(X.block("rmsNorm"), W.block("rmsNorm"), eps, offset, O.block("rmsNorm"));
  }

  addBias(x: Matrix, bias: Matrix): void {
    const [X, B] = this.own("addBias", x, bias);
    check.checkAddBias(X, B);
    elementwise.addBias(X.block("addBias"), B.block("addBias"));
  }

  rotary(x: Matrix, cos: Matrix, sin: Matrix, headDim: number): void {
    const [X, C, S] = this.own("rotary", x, cos, sin);
    check.checkRotary(X, C, S, headDim);
    model.rotary(X.block("rotary"), C.block("rotary"), S.block("rotary"), headDim);
  }

  attention(q: Matrix, k: Matrix, v: Matrix, shape: AttentionShape, out: Matrix): void {
    const [Q, K, V, O] = this.own("attention", q, k, v, out);
    check.checkAttention(Q, K, V, shape, O);
    const block = (m: ReferenceMatrix) => m.block("attention");
    model.attention(block(Q), block(K), block(V), shape, block(O));
  }

  gatedActivation(kind: "silu" | "geluTanh", gate: Matrix, up: Matrix): void {
    const [G, U] = this.own("gatedActivation", gate, up);
    check.checkGatedActivation(G, U);
    model.gatedActivation(kind, G.block("gatedActivation"), U.block("gatedActivation"));
  }

  // ---- training -------------------------------------------------------------------------------------------------------------
  softmaxCrossEntropy(logits: Matrix, targets: Int32Array, out: Matrix): number {
    const operation = "softmaxCrossEntropy";
    const [L, O] = this.own(operation, logits, out);
    checkTraining.checkSoftmaxCrossEntropy(L, targets, O);
    return training.softmaxCrossEntropy(L.block(operation), targets, O.block(operation));
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
    const operation = "rmsNormBackward";
    const [X, W, G, DX, DW] = this.own(operation, x, weight, dOut, dX, dWeight);
    checkTraining.checkRmsNormBackward(X, W, G, DX, DW);
    const block = (m: ReferenceMatrix) => m.block(operation);
    training.rmsNormBackward(block(X), block(W), eps, offset, block(G), block(DX), block(DW));
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
    const operation = "attentionBackward";
    const [Q, K, V, O, G] = this.own(operation, q, k, v, out, dOut);
    const [DQ, DK, DV] = this.own(operation, dQ, dK, dV);
    checkTraining.checkAttentionBackward({ q: Q, k: K, v: V, out: O, dOut: G }, shape, DQ, DK, DV);
    const block = (m: ReferenceMatrix) => m.block(operation);
    const into = { dQ: block(DQ), dK: block(DK), dV: block(DV) };
    attentionBackward(block(Q), block(K), block(V), shape, block(O), block(G), into);
  }

  gatedActivationBackward(
    kind: "silu" | "geluTanh",
    gate: Matrix,
    up: Matrix,
    dOut: Matrix,
    dGate: Matrix,
    dUp: Matrix,
  ): void {
    const operation = "gatedActivationBackward";
    const [A, U, G, DA, DU] = this.own(operation, gate, up, dOut, dGate, dUp);
    checkTraining.checkGatedActivationBackward(A, U, G, DA, DU);
    const block = (m: ReferenceMatrix) => m.block(operation);
    training.gatedActivationBackward(kind, block(A), block(U), block(G), block(DA), block(DU));
  }

  scatterAdd(src: Matrix, rows: Int32Array, dst: Matrix): void {
    const [from, to] = this.own("scatterAdd", src, dst);
    checkTraining.checkScatterAdd(from, rows, to);
    training.scatterAdd(from.block("scatterAdd"), rows, to.block("scatterAdd"));
  }

  adamW(param: Matrix, grad: Matrix, m: Matrix, v: Matrix, step: AdamWStep): void {
    const [P, G, M, V] = this.own("adamW", param, grad, m, v);
    checkTraining.checkAdamW(P, G, M, V, step);
    const numbers = P.numbers("adamW");
    training.adamW(numbers, G.block("adamW"), M.block("adamW"), V.block("adamW"), adamWFactors(step));
    P.setNumbers("adamW", numbers);
  }
}

function newStorage(length: number, dtype: DType): Storage {
  const bytes = length * (dtype === "f32" ? 8 : 2);
  try {
    return dtype === "f32" ? new Float64Array(length) : new Uint16Array(length);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new EngineMemoryError("alloc", bytes, `cannot hold ${bytes} bytes more`);
  }
}

function byteLength({ storage }: Allocation): number {
  return storage?.byteLength ?? 0;
}
