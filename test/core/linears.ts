import type { Engine, Matrix } from "@safedelta/engine";
import fc from "fast-check";
import { combine, multiply, type Plain, plainOf, transpose } from "../support/plain.ts";
import { Random } from "../support/random.ts";

/** A random linear with the damped Hessian of its inputs, in plain numbers (weights are f32 values). */
export interface PlainLinear {
  readonly rows: number;
  readonly cols: number;
  readonly aligned: Plain;
  readonly tuned: Plain;
  readonly delta: Plain;
  /** H, damped, rounded to f32. */
  readonly hessian: Plain;
}

/** What a random linear looks like. */
export interface LinearShape {
  readonly rows: number;
  readonly cols: number;
  readonly nTokens: number;
  /** Columns whose inputs are zero. */
  readonly nDead: number;
  /** Share of entries that fine-tuning did not change. */
  readonly unchanged: number;
  readonly seed: number;
}

/** Shapes from one entry up, with dead columns and unchanged entries. */
export const linearShapes: fc.Arbitrary<LinearShape> = fc
  .record({
    rows: fc.integer({ min: 1, max: 12 }),
    cols: fc.integer({ min: 1, max: 40 }),
    nTokens: fc.integer({ min: 1, max: 60 }),
    dead: fc.constantFrom(0, 0.1, 0.5),
    unchanged: fc.constantFrom(0, 0.3),
    seed: fc.integer(),
  })
  .map(({ dead, ...shape }) => ({ ...shape, nDead: Math.floor(dead * shape.cols) }));

export function randomLinear(shape: LinearShape): PlainLinear {
  const { rows, cols, unchanged, seed } = shape;
  const random = new Random(seed);
  const hessian = randomHessian(shape, random);
  const aligned = plainOf(rows, cols, random.normals(rows * cols, 0.03));
  const moved = aligned.values.map((value) => value + (random.uniform() < unchanged ? 0 : 0.003 * random.normal()));
  const tuned = plainOf(rows, cols, Float32Array.from(moved));
  const delta = { rows, cols, values: tuned.values.map((value, i) => value - aligned.values[i]) };
  return { rows, cols, aligned, tuned, delta, hessian };
}

/** The same with aligned weights of −0, some of them tuned to +0: equal numbers, other bits. */
export function withNegativeZeros(linear: PlainLinear): PlainLinear {
  const aligned = { ...linear.aligned, values: linear.aligned.values.map((value, at) => (at % 3 === 0 ? -0 : value)) };
  const tuned = { ...linear.tuned, values: linear.tuned.values.map((value, at) => (at % 6 === 0 ? 0 : value)) };
  return { ...linear, aligned, tuned, delta: combine(1, tuned, -1, aligned) };
}

/** 2/6 XᵀX of correlated inputs whose columns differ in size, with dead columns, damped. */
export function randomHessian({ cols, nTokens, nDead }: LinearShape, random: Random): Plain {
  const dead = new Set(random.shuffle(Array.from({ length: cols }, (_, j) => j)).slice(0, nDead));
  const sizes = Array.from({ length: cols }, (_, j) => (dead.has(j) ? 0 : Math.exp(random.normal())));
  const x = plainOf(nTokens, cols, random.normals(nTokens * cols));
  x.values.forEach((value, at) => {
    const shared = x.values[at - (at % cols)];
    x.values[at] = (value + 0.5 * shared) * sizes[at % cols];
  });
  const gram = multiply(transpose(x), x);
  gram.values.forEach((value, at) => {
    gram.values[at] = value / 3;
  });
  return damp(gram);
}

/** Dead columns to 1, then 1 % of the mean of the diagonal; rounded to f32. */
export function damp(hessian: Plain): Plain {
  const n = hessian.cols;
  const values = hessian.values.slice();
  for (let j = 0; j < n; j++) values[j * n + j] ||= 1;
  const mean = meanDiagonal({ rows: n, cols: n, values });
  for (let j = 0; j < n; j++) values[j * n + j] += 0.01 * mean;
  return plainOf(n, n, Float32Array.from(values));
}

export function meanDiagonal({ cols, values }: Plain): number {
  let sum = 0;
  for (let j = 0; j < cols; j++) sum += values[j * cols + j];
  return sum / cols;
}

/** A copy of plain numbers in engine memory, as f32. */
export function upload(engine: Engine, { rows, cols, values }: Plain): Matrix {
  const m = engine.alloc(rows, cols);
  engine.write(m, Float32Array.from(values));
  return m;
}

export function download(engine: Engine, m: Matrix): Plain {
  return plainOf(m.rows, m.cols, engine.read(m));
}

/** ½ tr(D H Dᵀ). */
export function safetyLossOf(d: Plain, hessian: Plain): number {
  return innerProduct(multiply(d, hessian), d) / 2;
}

export function innerProduct(a: Plain, b: Plain): number {
  return a.values.reduce((sum, value, i) => sum + value * b.values[i], 0);
}

/** What reading a weight of this linear back as f32 may move. */
export function readRounding({ aligned, tuned }: PlainLinear): number {
  return 2 ** -23 * Math.max(largest(aligned), largest(tuned));
}

/** Largest absolute difference. */
export function distance(a: Plain, b: Plain): number {
  return a.values.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.values[i])), 0);
}

export function largest(a: Plain): number {
  return a.values.reduce((worst, value) => Math.max(worst, Math.abs(value)), 0);
}

/** A linear of both models in engine memory. */
export interface Uploaded extends Disposable {
  readonly aligned: Matrix;
  readonly tuned: Matrix;
  readonly hessian: Matrix;
}

export function uploadLinear(engine: Engine, linear: PlainLinear): Uploaded {
  const [aligned, tuned, hessian] = [linear.aligned, linear.tuned, linear.hessian].map((m) => upload(engine, m));
  const dispose = () => {
    for (const m of [aligned, tuned, hessian]) m[Symbol.dispose]();
  };
  return { aligned, tuned, hessian, [Symbol.dispose]: dispose };
}

/** Run `use` on the linear and prove that it freed what it allocated. */
export function onLinear(engine: Engine, linear: PlainLinear, use: (uploaded: Uploaded) => void): void {
  const before = engine.bytesInUse;
  {
    using uploaded = uploadLinear(engine, linear);
    use(uploaded);
  }
  if (engine.bytesInUse !== before) throw new Error(`${engine.bytesInUse - before} bytes were not freed`);
}
