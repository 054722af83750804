import { make } from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";

/** Rows that cross the border between file and engine at once. */
const blockRows = 256;

/** Bytes of a packed f32 upper triangle with diagonal. */
export function triangleBytes(n: number): number {
  return 2 * n * (n + 1);
}

/** Bytes of an f32 square. */
export function squareBytes(n: number): number {
  return 4 * n * n;
}

/** Upper triangle of m (n x n) with its diagonal, row after row, as little-endian f32. */
export function packTriangle(engine: Engine, m: Matrix): Uint8Array {
  const n = m.rows;
  const packed = new Float32Array((n * (n + 1)) / 2);
  let at = 0;
  for (let first = 0; first < n; first += blockRows) {
    const count = Math.min(blockRows, n - first);
    const rows = engine.read(m.view(first, 0, count, n));
    for (let i = 0; i < count; i++) {
      const row = rows.subarray(i * n + first + i, (i + 1) * n);
      packed.set(row, at);
      at += row.length;
    }
  }
  return new Uint8Array(packed.buffer);
}

/** The n x n matrix whose upper triangle was packed; zero below the diagonal. */
export function readTriangle(engine: Engine, bytes: Uint8Array, n: number): Matrix {
  const packed = new Float32Array(bytes.slice().buffer);
  return make(engine, n, n, (m) => {
    let at = 0;
    for (let first = 0; first < n; first += blockRows) {
      const count = Math.min(blockRows, n - first);
      const rows = new Float32Array(count * n);
      for (let i = 0; i < count; i++) {
        const length = n - first - i;
        rows.set(packed.subarray(at, at + length), i * n + first + i);
        at += length;
      }
      engine.write(m.view(first, 0, count, n), rows);
    }
  });
}

/** The n x n matrix of little-endian f32 bytes. */
export function readSquare(engine: Engine, bytes: Uint8Array, n: number): Matrix {
  return make(engine, n, n, (m) => engine.write(m, new Float32Array(bytes.slice().buffer)));
}
