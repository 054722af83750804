import { expect } from "bun:test";
import { type Engine, type Matrix, openReference } from "@safedelta/engine";
import { combine, norm, type Plain, plainOf } from "../support/plain.ts";
import { type Layout, Trial } from "./trial.ts";

/** An operation and its twin that gives gradients. */
export interface Twin {
  /** What is differentiated, by name. */
  readonly inputs: Readonly<Record<string, Plain>>;
  readonly outRows: number;
  readonly outCols: number;
  forward(e: Engine, inputs: Readonly<Record<string, Matrix>>, out: Matrix): void;
  /** Write the gradient of each input; `gradients` hold NaN where the twin only writes. */
  backward(
    e: Engine,
    inputs: Readonly<Record<string, Matrix>>,
    out: Matrix,
    dOut: Matrix,
    gradients: Readonly<Record<string, Matrix>>,
  ): void;
  /** Gradients that are added to what is there. */
  readonly accumulated?: readonly string[];
  /** For each gradient: the norm of what is multiplied to make it, and the length of its sums. */
  scales(dOut: Plain): Readonly<Record<string, number>>;
  readonly depth: number;
}

/** Half the step of a central difference in f64: its own error is about h², that of rounding 2⁻⁵³ / h. */
const step = 1e-5;
/** What both leave of a directional derivative, as a part of ‖gradient‖ ‖direction‖; reading rounds to f32. */
const differenceError = 2e-7;

/** The gradients are those of the f64 reference; on the reference itself those of finite differences. */
export function checkGradients(t: Trial, twin: Twin, layout: Layout): void {
  if (t.engine.info.name === "reference") checkByDifferences(t, twin, layout);
  else checkByReference(t, twin, layout);
}

function checkByReference(t: Trial, twin: Twin, layout: Layout): void {
  const dOut = t.normal(twin.outRows, twin.outCols);
  const start = startOf(t, twin);
  const found = gradientsOf(t, t.engine, twin, dOut, start, layout);
  using oracle = openReference();
  const expected = gradientsOf(t, oracle, twin, dOut, start, layout);
  for (const [name, scale] of Object.entries(twin.scales(dOut))) {
    t.near(found[name], expected[name], scale, twin.depth);
  }
}

/** What accumulated gradients begin with. */
function startOf(t: Trial, { accumulated = [], inputs }: Twin): Record<string, Plain> {
  return Object.fromEntries(accumulated.map((name) => [name, t.normal(inputs[name].rows, inputs[name].cols)]));
}

function gradientsOf(
  t: Trial,
  e: Engine,
  twin: Twin,
  dOut: Plain,
  start: Record<string, Plain>,
  layout: Layout,
): Record<string, Plain> {
  const own = e === t.engine ? t : new Trial(e);
  const matrices = mapped(twin.inputs, (p) => own.matrix(p, layout));
  const out = own.blank(twin.outRows, twin.outCols, layout);
  const gradients = mapped(twin.inputs, (p, name) =>
    name in start ? own.matrix(start[name], layout) : own.blank(p.rows, p.cols, layout),
  );
  twin.forward(e, matrices, out);
  twin.backward(e, matrices, out, own.matrix(dOut, layout), gradients);
  const read = mapped(gradients, (m) => own.plain(m));
  if (own !== t) own.finish();
  return read;
}

/**
 * With the loss L = ½‖out − target‖², whose gradient with respect to out is out − target: along random directions d of all inputs,
 * (L(x + h d) − L(x − h d)) / 2h = ⟨gradient, d⟩. Sums of squares leave an engine in f64.
 */
function checkByDifferences(t: Trial, twin: Twin, layout: Layout): void {
  const e = t.engine;
  const target = t.matrix(t.normal(twin.outRows, twin.outCols));
  const matrices = mapped(twin.inputs, (p) => t.matrix(p, layout));
  const residual = (): { out: Matrix; dOut: Matrix } => {
    const [out, dOut] = [t.blank(twin.outRows, twin.outCols, layout), t.alloc(twin.outRows, twin.outCols)];
    twin.forward(e, matrices, out);
    e.convert(out, dOut);
    e.add(-1, target, dOut);
    return { out, dOut };
  };
  const { out, dOut } = residual();
  const start = startOf(t, twin);
  const gradients = mapped(twin.inputs, (p, name) =>
    name in start ? t.matrix(start[name], layout) : t.blank(p.rows, p.cols, layout),
  );
  twin.backward(e, matrices, out, dOut, gradients);
  const loss = () => e.columnSquares(residual().dOut).reduce((sum, square) => sum + square, 0) / 2;
  for (const name of Object.keys(twin.inputs)) {
    const whole = t.plain(gradients[name]);
    const gradient = name in start ? combine(1, whole, -1, start[name]) : whole;
    const slack = norm(gradient) + (name in start ? norm(start[name]) : 0);
    const direction = t.normal(gradient.rows, gradient.cols);
    const measured = difference(e, matrices[name], direction, loss);
    expect(Math.abs(measured - inner(gradient, direction))).toBeLessThanOrEqual(
      differenceError * (slack * norm(direction) + loss()),
    );
  }
}

/** (loss at m + h d − loss at m − h d) / 2h; m is as before afterwards but for f64 rounding. */
export function difference(e: Engine, m: Matrix, direction: Plain, loss: () => number): number {
  using d = e.alloc(m.rows, m.cols);
  e.write(d, Float32Array.from(direction.values));
  e.add(step, d, m);
  const above = loss();
  e.add(-2 * step, d, m);
  const below = loss();
  e.add(step, d, m);
  return (above - below) / (2 * step);
}

export function inner(a: Plain, b: Plain): number {
  return a.values.reduce((sum, value, at) => sum + value * b.values[at], 0);
}

/** Largest norm of a run of `length` numbers: of the rows of one head. */
export function longest(a: Plain, length: number): number {
  const runs = Array.from({ length: a.values.length / length }, (_, i) =>
    norm(plainOf(1, length, a.values.subarray(i * length, (i + 1) * length))),
  );
  return Math.max(0, ...runs);
}

function mapped<A, B>(record: Readonly<Record<string, A>>, change: (value: A, name: string) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)]));
}
