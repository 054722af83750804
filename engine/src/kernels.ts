import type { EngineMemoryError } from "./engine.ts";

/** 0 (success), p + 1 (a bad pivot in row p) or one of the negative `statusCodes`. */
export type Status = number;

/** What kernels return besides success and bad pivots; the negative codes of engine/include/safedelta.h. */
export const statusCodes = { outOfMemory: -1, notFinite: -2, noConvergence: -3 } as const;

/** How kernels number what is given by name. */
export const dtypeCodes = { f32: 0, f16: 1, bf16: 2 } as const;
export const activationCodes = { silu: 0, geluTanh: 1 } as const;

/**
 * The raw kernels below `KernelEngine`: one build (WASM, a library behind bun:ffi) and its memory, addressed by numbers. Sizes and
 * strides count elements. Everything was checked before; a kernel may still run out of memory or meet a bad pivot.
 */
export interface Kernels {
  /** Address of `bytes` zeros. @throws EngineMemoryError naming the operation */
  alloc(operation: string, bytes: number): number;
  free(address: number, bytes: number): void;
  /** Copy runs of `rowBytes`, close together in the array and `pitchBytes` apart in engine memory. */
  write(to: number, pitchBytes: number, from: Uint8Array, rowBytes: number, rows: number): Status;
  read(from: number, pitchBytes: number, to: Uint8Array, rowBytes: number, rows: number): Status;
  /** The error for a kernel that got no working memory. */
  outOfMemory(operation: string): EngineMemoryError;
  /** What the build has to say of a status that is none of the known ones. */
  explain(status: Status): string;
  close(): void;

  convert(
    src: number,
    srcDtype: number,
    srcStride: number,
    dst: number,
    dstDtype: number,
    dstStride: number,
    rows: number,
    cols: number,
  ): Status;
  fill(m: number, dtype: number, rows: number, cols: number, stride: number, value: number): Status;

  gemm(
    alpha: number,
    a: number,
    aRows: number,
    aCols: number,
    aStride: number,
    transA: boolean,
    b: number,
    bRows: number,
    bCols: number,
    bStride: number,
    transB: boolean,
    beta: number,
    c: number,
    cRows: number,
    cCols: number,
    cStride: number,
  ): Status;
  syrk(
    alpha: number,
    a: number,
    rows: number,
    cols: number,
    stride: number,
    beta: number,
    c: number,
    cStride: number,
  ): Status;
  mirror(m: number, n: number, stride: number): Status;
  choleskyReverse(h: number, n: number, stride: number): Status;
  invertTriangle(r: number, n: number, stride: number): Status;
  trmm(b: number, rows: number, n: number, stride: number, r: number, rStride: number, transR: boolean): Status;
  trsm(b: number, rows: number, n: number, stride: number, r: number, rStride: number, transR: boolean): Status;
  eigh(h: number, n: number, stride: number, values: Float64Array, vectors: number, vectorsStride: number): Status;

  add(alpha: number, a: number, aStride: number, c: number, cStride: number, rows: number, cols: number): Status;
  scaleCols(m: number, rows: number, cols: number, stride: number, factors: Float32Array): Status;
  columnSquares(m: number, rows: number, cols: number, stride: number, sums: Float64Array): Status;
  gather: Move;
  scatter: Move;

  rmsNorm(
    x: number,
    xStride: number,
    weight: number,
    eps: number,
    offset: number,
    out: number,
    outStride: number,
    rows: number,
    cols: number,
  ): Status;
  addBias(x: number, rows: number, cols: number, stride: number, bias: number): Status;
  rotary(
    x: number,
    rows: number,
    cols: number,
    stride: number,
    cos: number,
    cosStride: number,
    sin: number,
    sinStride: number,
    headDim: number,
  ): Status;
  attention(
    q: number,
    qStride: number,
    n: number,
    k: number,
    kStride: number,
    v: number,
    vStride: number,
    total: number,
    nHeads: number,
    nKvHeads: number,
    headDim: number,
    scale: number,
    out: number,
    outStride: number,
  ): Status;
  gated(
    kind: number,
    gate: number,
    gateStride: number,
    up: number,
    upStride: number,
    rows: number,
    cols: number,
  ): Status;

  softmaxCrossEntropy(
    logits: number,
    logitsStride: number,
    targets: Int32Array,
    out: number,
    outStride: number,
    rows: number,
    cols: number,
    loss: Float64Array,
  ): Status;
  rmsNormBackward(
    x: number,
    xStride: number,
    weight: number,
    eps: number,
    offset: number,
    dOut: number,
    dOutStride: number,
    dX: number,
    dXStride: number,
    dWeight: number,
    rows: number,
    cols: number,
  ): Status;
  attentionBackward(
    q: number,
    qStride: number,
    k: number,
    kStride: number,
    v: number,
    vStride: number,
    n: number,
    nHeads: number,
    nKvHeads: number,
    headDim: number,
    scale: number,
    out: number,
    outStride: number,
    dOut: number,
    dOutStride: number,
    dQ: number,
    dQStride: number,
    dK: number,
    dKStride: number,
    dV: number,
    dVStride: number,
  ): Status;
  gatedBackward(
    kind: number,
    gate: number,
    gateStride: number,
    up: number,
    upStride: number,
    dOut: number,
    dOutStride: number,
    dGate: number,
    dGateStride: number,
    dUp: number,
    dUpStride: number,
    rows: number,
    cols: number,
  ): Status;
  scatterAdd(
    src: number,
    srcStride: number,
    rows: Int32Array,
    dst: number,
    dstStride: number,
    nRows: number,
    nCols: number,
  ): Status;
  adamW(
    param: number,
    paramDtype: number,
    paramStride: number,
    grad: number,
    gradStride: number,
    m: number,
    mStride: number,
    v: number,
    vStride: number,
    rows: number,
    cols: number,
    decay: number,
    rate1: number,
    beta2: number,
    rate2: number,
    stepSize: number,
    correction: number,
    eps: number,
    scale: number,
  ): Status;
}

/** Move `nRows` x `nCols` items of 2 or 4 bytes; a null list means every index in order. */
type Move = (
  itemBytes: number,
  src: number,
  srcStride: number,
  rows: Int32Array | null,
  cols: Int32Array | null,
  dst: number,
  dstStride: number,
  nRows: number,
  nCols: number,
) => Status;
