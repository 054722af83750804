import { EngineError, type Matrix } from "./engine.ts";

/** What checks are made of: each `require…` throws `EngineError` that names the operation, the matrix and the numbers. */

/** A matrix handle of one of our engines: besides its shape, where it lies. */
export interface Handle extends Matrix {
  /** Equal for a matrix and all its views. */
  readonly allocation: object;
  /** Elements from the start of the allocation to element (0, 0). */
  readonly offset: number;
}

/** Largest row or column count: sizes cross the native border as int32. */
const maxSize = 2 ** 31 - 1;

export function fail(operation: string, message: string): never {
  throw new EngineError(operation, message);
}

export function sizeText(rows: number, cols: number): string {
  return `${rows} x ${cols}`;
}

export function requireCount(operation: string, name: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least || value > maxSize) {
    fail(operation, `${name} must be a whole number from ${least} to ${maxSize}, got ${value}`);
  }
}

export function requireShape(operation: string, name: string, m: Matrix, rows: number, cols: number): void {
  if (m.rows === rows && m.cols === cols) return;
  fail(operation, `${name} is ${sizeText(m.rows, m.cols)}, expected ${sizeText(rows, cols)}`);
}

export function requireSquare(operation: string, name: string, m: Matrix): void {
  if (m.rows !== m.cols) fail(operation, `${name} is ${sizeText(m.rows, m.cols)}, expected a square matrix`);
}

export function requireF32(operation: string, matrices: Record<string, Matrix>): void {
  for (const [name, m] of Object.entries(matrices)) {
    if (m.dtype !== "f32") fail(operation, `${name} is ${m.dtype}, expected f32: convert it first`);
  }
}

export function samePlace(a: Handle, b: Handle): boolean {
  return a.allocation === b.allocation && a.offset === b.offset && a.rows === b.rows && a.cols === b.cols;
}

/** Views of one allocation share its stride, so they are rectangles of one grid; an empty one overlaps nothing. */
export function overlap(a: Handle, b: Handle): boolean {
  const isEmpty = a.rows * a.cols === 0 || b.rows * b.cols === 0;
  if (a.allocation !== b.allocation || isEmpty) return false;
  const rowApart = Math.floor(b.offset / b.stride) - Math.floor(a.offset / a.stride);
  const colApart = (b.offset % b.stride) - (a.offset % a.stride);
  const meet = (apart: number, sizeA: number, sizeB: number) => apart < sizeA && -apart < sizeB;
  return meet(rowApart, a.rows, b.rows) && meet(colApart, a.cols, b.cols);
}

export function requireApart(operation: string, written: Handle, read: Record<string, Handle>): void {
  for (const [name, m] of Object.entries(read)) {
    if (overlap(written, m)) fail(operation, `the result overlaps ${name}`);
  }
}

/** Element-wise operations may write onto what they read, but not onto a shifted part of it. */
export function requireSameOrApart(operation: string, written: Handle, name: string, read: Handle): void {
  if (!samePlace(written, read)) requireApart(operation, written, { [name]: read });
}

export function requireIndices(
  operation: string,
  name: string,
  indices: Int32Array | null,
  limit: number,
  least = 0,
): void {
  if (indices === null) return;
  const bad = indices.findIndex((index) => index < least || index >= limit);
  if (bad >= 0) fail(operation, `${name}[${bad}] is ${indices[bad]}, expected ${least} to ${limit - 1}`);
}

export function requireDistinct(operation: string, name: string, indices: Int32Array | null): void {
  if (indices !== null && new Set(indices).size !== indices.length) fail(operation, `${name} holds an index twice`);
}
