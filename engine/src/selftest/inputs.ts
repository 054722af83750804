import type { Engine, Matrix, Values } from "../engine.ts";

/** What an operation gave, as numbers. */
export type Results = readonly (Values | Float64Array)[];

/** One operation of the contract at size n, on inputs that do not depend on the engine. Matrices are left to the engine's end. */
export type Operation = (engine: Engine, n: number) => Results;

/** Numbers that are the same on every machine: Mulberry32, then the sum of four uniform ones, which is normal enough. */
export function numbers(count: number, seed: number): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length: count }, () => Math.sqrt(3) * (uniform() + uniform() + uniform() + uniform() - 2));
}

/** A new rows x cols matrix of `numbers`. */
export function random(engine: Engine, rows: number, cols: number, seed: number): Matrix {
  const m = engine.alloc(rows, cols);
  engine.write(m, numbers(rows * cols, seed));
  return m;
}

/** A new well-conditioned symmetric matrix: XᵀX / n + I. */
export function definite(engine: Engine, n: number, seed: number): Matrix {
  using x = random(engine, n, n, seed);
  const h = engine.alloc(n, n);
  for (let i = 0; i < n; i++) engine.fill(h.view(i, i, 1, 1), 1);
  engine.syrk(1 / n, x, 1, h);
  engine.mirror(h);
  return h;
}

/** A new well-conditioned upper triangle: the reverse Cholesky factor of `definite`. */
export function triangle(engine: Engine, n: number, seed: number): Matrix {
  const r = definite(engine, n, seed);
  engine.choleskyReverse(r);
  return r;
}
