import {
  type Budget,
  dampedHessian,
  finishHessian,
  inverseFactor,
  keptMask,
  type Mode,
  orderedFactor,
  repair,
  spectrum,
} from "@safedelta/core";
import {
  attempt,
  type Engine,
  type Matrix,
  openReference,
  type SelfTest,
  selfTest,
  selfTestNumbers,
} from "@safedelta/engine";
import type { StatePart } from "./parts.ts";

/** One mode of the method on a made-up linear, against the same on the f64 reference engine. */
export interface RepairCheck {
  readonly mode: Mode;
  /** What the repair works from. */
  readonly part: StatePart;
  /** Entries that one engine keeps and the other does not (Infinity without an answer). */
  readonly nKeptOtherwise: number;
  /** Largest difference of a weight, as a share of the largest weight (Infinity without an answer). */
  readonly error: number;
  readonly allowed: number;
  readonly ok: boolean;
  /** What was thrown instead of an answer. */
  readonly failure?: string;
}

/** What `doctor --selftest` finds on one engine. */
export interface SelfTestReport extends SelfTest {
  readonly repairs: readonly RepairCheck[];
  readonly ok: boolean;
}

/** Rounding of f32 through a factorisation, two solves and a product at this size. */
const allowed = 1e-4;
const [rows, cols, tokens] = [48, 192, 400];

const ways: readonly (readonly [Mode, StatePart, Budget])[] = [
  ["reference", "inverse", { kind: "scale", value: 0.2 }],
  ["none", "inverse", { kind: "scale", value: 0.2 }],
  ["paper", "inverse", { kind: "scale", value: 0.2 }],
  ["exact", "ordered", { kind: "loss", share: 0.1 }],
  ["optimal", "spectrum", { kind: "loss", share: 0.1 }],
  ["optimal", "hessian", { kind: "loss", share: 0.1 }],
];

/** Conformance of every operation, the method in every mode, and speed. What the engine fails in is part of the report. */
export async function runSelfTest(
  open: () => Promise<Engine>,
  n: number,
  note: (line: string) => void,
): Promise<SelfTestReport> {
  const found = await selfTest(open, n, note);
  const repairs: RepairCheck[] = [];
  for (const [mode, part, budget] of ways) {
    const check = await checkRepair(open, mode, part, budget);
    const result = check.failure ?? `error ${check.error.toExponential(1)}`;
    note(`${check.ok ? "ok    " : "FAILED"} repair by ${mode} (${part}): ${result}`);
    repairs.push(check);
  }
  const timed = found.rates.every((rate) => !("failure" in rate));
  const ok = timed && [...found.checks, ...repairs].every((check) => check.ok);
  return { ...found, repairs, ok };
}

async function checkRepair(
  open: () => Promise<Engine>,
  mode: Mode,
  part: StatePart,
  budget: Budget,
): Promise<RepairCheck> {
  const found = await attempt(async () => {
    using engine = await open();
    return repairOn(engine, mode, part, budget);
  });
  const none = Number.POSITIVE_INFINITY;
  if ("failure" in found) return { mode, part, nKeptOtherwise: none, error: none, allowed, ok: false, ...found };
  using oracle = await openReference();
  const expected = repairOn(oracle, mode, part, budget);
  const nKeptOtherwise = found.kept.filter((kept, i) => kept !== expected.kept[i]).length;
  const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const error = largest(found.weight.map((value, i) => value - expected.weight[i])) / largest(expected.weight);
  return { mode, part, nKeptOtherwise, error, allowed, ok: nKeptOtherwise === 0 && error <= allowed };
}

function repairOn(engine: Engine, mode: Mode, part: StatePart, budget: Budget) {
  const aligned = matrix(engine, rows, cols, 0.03, 1);
  const tuned = matrix(engine, rows, cols, 0.003, 2);
  engine.add(1, aligned, tuned);
  const x = matrix(engine, tokens, cols, 1, 3);
  const hessian = engine.alloc(cols, cols);
  engine.syrk(2 / tokens, x, 0, hessian);
  engine.mirror(hessian);
  finishHessian(engine, hessian);
  const factor = { inverse: inverseFactor, ordered: orderedFactor, spectrum, hessian: dampedHessian }[part];
  const prepared = { cols, [part]: factor(engine, hessian) };
  const { weight, numbers } = repair(engine, mode, { aligned, tuned }, prepared, budget);
  return { weight: engine.read(weight) as Float32Array, kept: keptMask(numbers.kept) };
}

/** Numbers that are the same on every machine; columns differ in size, as those of real inputs do. */
function matrix(engine: Engine, nRows: number, nCols: number, scale: number, seed: number): Matrix {
  const m = engine.alloc(nRows, nCols);
  const values = selfTestNumbers(nRows * nCols, seed).map(
    (value, i) => scale * value * (1 + 3 * ((i % nCols) / nCols)),
  );
  engine.write(m, values);
  return m;
}
