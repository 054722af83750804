import { type AttentionShape, type DType, EngineError, type Matrix, type Values } from "./engine.ts";

/**
 * Shape, dtype and overlap checks that every engine runs before it computes. Each `check…` function belongs to the operation
 * of the same name and throws `EngineError` that names the operation, the matrix and the numbers.
 */

/** A matrix handle of one of our engines: besides its shape, where it lies. */
export interface Handle extends Matrix {
  /** Equal for a matrix and all its views. */
  readonly allocation: object;
  /** Elements from the start of the allocation to element (0, 0). */
  readonly offset: number;
}

/** Largest row or column count: sizes cross the native border as int32. */
const maxSize = 2 ** 31 - 1;

function fail(operation: string, message: string): never {
  throw new EngineError(operation, message);
}

function sizeText(rows: number, cols: number): string {
  return `${rows} x ${cols}`;
}

function requireCount(operation: string, name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least || value > maxSize) {
    fail(operation, `${name} must be a whole number from ${least} to ${maxSize}, got ${value}`);
  }
}

function requireShape(operation: string, name: string, m: Matrix, rows: number, cols: number): void {
  if (m.rows === rows && m.cols === cols) return;
  fail(operation, `${name} is ${sizeText(m.rows, m.cols)}, expected ${sizeText(rows, cols)}`);
}

function requireSquare(operation: string, name: string, m: Matrix): void {
  if (m.rows !== m.cols) fail(operation, `${name} is ${sizeText(m.rows, m.cols)}, expected a square matrix`);
}

function requireF32(operation: string, matrices: Record<string, Matrix>): void {
  for (const [name, m] of Object.entries(matrices)) {
    if (m.dtype !== "f32") fail(operation, `${name} is ${m.dtype}, expected f32: convert it first`);
  }
}

function samePlace(a: Handle, b: Handle): boolean {
  return a.allocation === b.allocation && a.offset === b.offset && a.rows === b.rows && a.cols === b.cols;
}

/** Views of one allocation share its stride, so they are rectangles of one grid; an empty one overlaps nothing. */
function overlap(a: Handle, b: Handle): boolean {
  const isEmpty = a.rows * a.cols === 0 || b.rows * b.cols === 0;
  if (a.allocation !== b.allocation || isEmpty) return false;
  const rowApart = Math.floor(b.offset / b.stride) - Math.floor(a.offset / a.stride);
  const colApart = (b.offset % b.stride) - (a.offset % a.stride);
  const meet = (apart: number, sizeA: number, sizeB: number) => apart < sizeA && -apart < sizeB;
  return meet(rowApart, a.rows, b.rows) && meet(colApart, a.cols, b.cols);
}

function requireApart(operation: string, written: Handle, read: Record<string, Handle>): void {
  for (const [name, m] of Object.entries(read)) {
    if (overlap(written, m)) fail(operation, `the result overlaps ${name}`);
  }
}

/** Element-wise operations may write onto what they read, but not onto a shifted part of it. */
function requireSameOrApart(operation: string, written: Handle, name: string, read: Handle): void {
  if (!samePlace(written, read)) requireApart(operation, written, { [name]: read });
}

function requireIndices(operation: string, name: string, indices: Int32Array | null, limit: number): void {
  if (indices === null) return;
  const bad = indices.findIndex((index) => index < 0 || index >= limit);
  if (bad >= 0) fail(operation, `${name}[${bad}] is ${indices[bad]}, expected 0 to ${limit - 1}`);
}

function requireDistinct(operation: string, name: string, indices: Int32Array | null): void {
  if (indices !== null && new Set(indices).size !== indices.length) fail(operation, `${name} holds an index twice`);
}

// ---- memory -----------------------------------------------------------------------------------------------------------------

export function checkAlloc(rows: number, cols: number): void {
  requireCount("alloc", "rows", rows, 0);
  requireCount("alloc", "cols", cols, 0);
}

export function checkView(m: Matrix, row: number, col: number, rows: number, cols: number): void {
  for (const [name, value] of Object.entries({ row, col, rows, cols })) requireCount("view", name, value, 0);
  if (row + rows <= m.rows && col + cols <= m.cols) return;
  fail("view", `${sizeText(rows, cols)} from (${row}, ${col}) leaves the ${sizeText(m.rows, m.cols)} matrix`);
}

/** The typed array that carries a dtype over the border. */
export function valuesClass(dtype: DType): typeof Float32Array | typeof Uint16Array {
  return dtype === "f32" ? Float32Array : Uint16Array;
}

export function checkWrite(m: Matrix, values: Values): void {
  const expected = valuesClass(m.dtype);
  if (!(values instanceof expected)) fail("write", `a ${m.dtype} matrix takes a ${expected.name}`);
  if (values.length === m.rows * m.cols) return;
  fail("write", `${values.length} values for a ${sizeText(m.rows, m.cols)} matrix`);
}

export function checkConvert(src: Handle, dst: Handle): void {
  requireShape("convert", "dst", dst, src.rows, src.cols);
  requireSameOrApart("convert", dst, "src", src);
}

// ---- dense algebra ----------------------------------------------------------------------------------------------------------

export function checkGemm(a: Handle, transA: boolean, b: Handle, transB: boolean, c: Handle): void {
  requireF32("gemm", { A: a, B: b, C: c });
  const [rows, depth] = transA ? [a.cols, a.rows] : [a.rows, a.cols];
  const [depthB, cols] = transB ? [b.cols, b.rows] : [b.rows, b.cols];
  if (depth !== depthB) fail("gemm", `op(A) is ${sizeText(rows, depth)} but op(B) is ${sizeText(depthB, cols)}`);
  requireShape("gemm", "C", c, rows, cols);
  requireApart("gemm", c, { A: a, B: b });
}

export function checkSyrk(a: Handle, c: Handle): void {
  requireF32("syrk", { A: a, C: c });
  requireShape("syrk", "C", c, a.cols, a.cols);
  requireApart("syrk", c, { A: a });
}

/** For the operations on one square matrix: mirror, choleskyReverse, invertTriangle, eigh. */
export function checkSquare(operation: string, m: Matrix): void {
  requireF32(operation, { matrix: m });
  requireSquare(operation, "matrix", m);
}

export function checkTriangular(operation: "trmm" | "trsm", b: Handle, r: Handle): void {
  requireF32(operation, { B: b, R: r });
  requireShape(operation, "R", r, b.cols, b.cols);
  requireApart(operation, b, { R: r });
}

// ---- element-wise and index operations --------------------------------------------------------------------------------------

export function checkAdd(a: Handle, c: Handle): void {
  requireF32("add", { A: a, C: c });
  requireShape("add", "A", a, c.rows, c.cols);
  requireSameOrApart("add", c, "A", a);
}

export function checkScaleCols(m: Matrix, factors: Float32Array): void {
  requireF32("scaleCols", { matrix: m });
  if (factors.length !== m.cols) fail("scaleCols", `${factors.length} factors for ${m.cols} columns`);
}

export function checkColumnSquares(m: Matrix): void {
  requireF32("columnSquares", { matrix: m });
}

/** `many` is the side that the indices point into: src of gather, dst of scatter. */
function checkIndexed(
  operation: string,
  many: Handle,
  few: Handle,
  rows: Int32Array | null,
  cols: Int32Array | null,
): void {
  if (many.dtype !== few.dtype) fail(operation, `dtypes differ: ${many.dtype} and ${few.dtype}`);
  requireIndices(operation, "rows", rows, many.rows);
  requireIndices(operation, "cols", cols, many.cols);
  const name = operation === "gather" ? "dst" : "src";
  requireShape(operation, name, few, rows?.length ?? many.rows, cols?.length ?? many.cols);
}

export function checkGather(src: Handle, rows: Int32Array | null, cols: Int32Array | null, dst: Handle): void {
  checkIndexed("gather", src, dst, rows, cols);
  requireApart("gather", dst, { src });
}

export function checkScatter(src: Handle, rows: Int32Array | null, cols: Int32Array | null, dst: Handle): void {
  checkIndexed("scatter", dst, src, rows, cols);
  requireDistinct("scatter", "rows", rows);
  requireDistinct("scatter", "cols", cols);
  requireApart("scatter", dst, { src });
}

// ---- model ------------------------------------------------------------------------------------------------------------------

export function checkRmsNorm(x: Handle, weight: Handle, out: Handle): void {
  requireF32("rmsNorm", { x, weight, out });
  requireShape("rmsNorm", "weight", weight, 1, x.cols);
  requireShape("rmsNorm", "out", out, x.rows, x.cols);
  requireApart("rmsNorm", out, { weight });
  requireSameOrApart("rmsNorm", out, "x", x);
}

export function checkAddBias(x: Handle, bias: Handle): void {
  requireF32("addBias", { x, bias });
  requireShape("addBias", "bias", bias, 1, x.cols);
  requireApart("addBias", x, { bias });
}

export function checkRotary(x: Handle, cos: Handle, sin: Handle, headDim: number): void {
  requireF32("rotary", { x, cos, sin });
  requireCount("rotary", "headDim", headDim, 2);
  if (headDim % 2 !== 0) fail("rotary", `headDim must be even, got ${headDim}`);
  if (x.cols % headDim !== 0) fail("rotary", `${x.cols} columns are no whole number of heads of ${headDim}`);
  requireShape("rotary", "cos", cos, x.rows, headDim / 2);
  requireShape("rotary", "sin", sin, x.rows, headDim / 2);
  requireApart("rotary", x, { cos, sin });
}

export function checkAttention(q: Handle, k: Handle, v: Handle, shape: AttentionShape, out: Handle): void {
  const { nHeads, nKvHeads, headDim } = shape;
  requireF32("attention", { q, k, v, out });
  for (const [name, value] of Object.entries({ nHeads, nKvHeads, headDim })) requireCount("attention", name, value, 1);
  if (nHeads % nKvHeads !== 0) fail("attention", `${nHeads} query heads cannot share ${nKvHeads} key heads equally`);
  if (k.rows < q.rows) fail("attention", `${q.rows} query rows but only ${k.rows} key rows`);
  requireShape("attention", "q", q, q.rows, nHeads * headDim);
  requireShape("attention", "k", k, k.rows, nKvHeads * headDim);
  requireShape("attention", "v", v, k.rows, nKvHeads * headDim);
  requireShape("attention", "out", out, q.rows, q.cols);
  requireApart("attention", out, { q, k, v });
}

export function checkGatedActivation(gate: Handle, up: Handle): void {
  requireF32("gatedActivation", { gate, up });
  requireShape("gatedActivation", "up", up, gate.rows, gate.cols);
  requireSameOrApart("gatedActivation", gate, "up", up);
}
