import type { AttentionShape, DType, Matrix, Values } from "./engine.ts";
import {
  fail,
  type Handle,
  requireApart,
  requireCount,
  requireDistinct,
  requireF32,
  requireIndices,
  requireSameOrApart,
  requireShape,
  requireSquare,
  sizeText,
} from "./require.ts";

/**
 * Shape, dtype and overlap checks that every engine runs before it computes. Each `check…` function belongs to the operation
 * of the same name and throws `EngineError` that names the operation, the matrix and the numbers.
 */

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
  requireF32("attention", { q, k, v, out });
  requireAttention("attention", q, k, v, shape);
  requireShape("attention", "out", out, q.rows, q.cols);
  requireApart("attention", out, { q, k, v });
}

/** Queries, keys and values as the shape says. */
export function requireAttention(operation: string, q: Handle, k: Handle, v: Handle, shape: AttentionShape): void {
  const { nHeads, nKvHeads, headDim } = shape;
  for (const [name, value] of Object.entries({ nHeads, nKvHeads, headDim })) requireCount(operation, name, value, 1);
  if (nHeads % nKvHeads !== 0) fail(operation, `${nHeads} query heads cannot share ${nKvHeads} key heads equally`);
  if (k.rows < q.rows) fail(operation, `${q.rows} query rows but only ${k.rows} key rows`);
  requireShape(operation, "q", q, q.rows, nHeads * headDim);
  requireShape(operation, "k", k, k.rows, nKvHeads * headDim);
  requireShape(operation, "v", v, k.rows, nKvHeads * headDim);
}

export function checkGatedActivation(gate: Handle, up: Handle): void {
  requireF32("gatedActivation", { gate, up });
  requireShape("gatedActivation", "up", up, gate.rows, gate.cols);
  requireSameOrApart("gatedActivation", gate, "up", up);
}
