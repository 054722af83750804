import { expect, test } from "bun:test";
import {
  type Budget,
  dampedHessian,
  inverseFactor,
  type Mode,
  numbersAsWritten,
  orderedFactor,
  owning,
  type Rival,
  repair,
  repairAdapter,
  repairByRival,
  spectrum,
  taskFactor,
  taskRepair,
} from "@safedelta/core";
import { type Engine, openEngine } from "@safedelta/engine";
import { failingAt, Injected } from "../support/failing.ts";
import { Random } from "../support/random.ts";
import { randomHessian, randomLinear, upload } from "./linears.ts";

const shape = { rows: 6, cols: 20, nTokens: 30, nDead: 1, unchanged: 0.2, seed: 3 };
const linear = randomLinear(shape);
const taskHessian = randomHessian({ ...shape, seed: 4 }, new Random(4));
const share: Budget = { kind: "loss", share: 0.1 };

/** What makes a result out of given matrices, whatever it takes on the way. */
const makers: Record<string, (engine: Engine, given: Given) => Disposable> = {
  "inverse factor": (engine, { hessian }) => inverseFactor(engine, hessian),
  "ordered factor": (engine, { hessian }) => orderedFactor(engine, hessian),
  spectrum: (engine, { hessian }) => spectrum(engine, hessian),
  "damped Hessian": (engine, { hessian }) => dampedHessian(engine, hessian),
  "task spectrum": (engine, { own, other, cols }) => taskFactor(engine, { cols, spectrum: own }, other),
  ...Object.fromEntries(
    (["reference", "none", "paper", "exact", "optimal"] as const).map((mode) => [
      `repair by ${mode}`,
      (engine: Engine, given: Given) => repairBy(engine, mode, given),
    ]),
  ),
  "repair with task data": (engine, { aligned, tuned, task }) =>
    taskRepair(engine, { aligned, tuned }, task, share).weight,
  "repair by the Hessian": (engine, { aligned, tuned, kept, cols }) =>
    repair(engine, "optimal", { aligned, tuned }, { cols, hessian: kept }, share).weight,
  "repair by both Hessians": (engine, { aligned, tuned, pair }) =>
    taskRepair(engine, { aligned, tuned }, pair, share).weight,
  "Safe LoRA, projected": (engine, given) => rivalBy(engine, { method: "safe-lora", threshold: 1 }, given),
  "Safe LoRA, left alone": (engine, given) => rivalBy(engine, { method: "safe-lora", threshold: -1 }, given),
  RESTA: (engine, given) => rivalBy(engine, { method: "resta", gamma: 1, drop: 0.5 }, given),
  "WiSE-FT": (engine, given) => rivalBy(engine, { method: "wise-ft", alpha: 0.5 }, given),
  negation: (engine, given) => rivalBy(engine, { method: "negation", weight: 1 }, given),
  "random mask": (engine, given) => rivalBy(engine, { method: "random-mask", keep: 0.5 }, given),
  DARE: (engine, given) => rivalBy(engine, { method: "dare", drop: 0.5 }, given),
  "repair of an adapter": (engine, { own, a, b }) => repairAdapter(engine, { a, b }, own, share).a,
  "repair of an adapter by the Hessian": (engine, { kept, a, b }) => repairAdapter(engine, { a, b }, kept, share).a,
  "numbers by both Hessians": (engine, { aligned, tuned, kept, pair, cols }) => {
    const { weight, numbers } = taskRepair(engine, { aligned, tuned }, pair, share);
    return owning(weight, () => {
      numbersAsWritten(engine, numbers, { aligned, tuned }, weight, { cols, hessian: kept }, pair);
      return weight;
    });
  },
};

function repairBy(engine: Engine, mode: Mode, { aligned, tuned, inverse, ordered, own, cols }: Given): Disposable {
  return repair(engine, mode, { aligned, tuned }, { cols, inverse, ordered, spectrum: own }, share).weight;
}

function rivalBy(engine: Engine, rival: Rival, { aligned, tuned, third, own, cols }: Given): Disposable {
  return repairByRival(engine, rival, { aligned, tuned, third }, { cols, spectrum: own }, () => 0.25).weight;
}

type Given = ReturnType<typeof givenOn>;

function givenOn(engine: Engine) {
  const [aligned, tuned, hessian] = [linear.aligned, linear.tuned, linear.hessian].map((plain) =>
    upload(engine, plain),
  );
  const other = upload(engine, taskHessian);
  const third = engine.alloc(linear.rows, linear.cols);
  engine.fill(third, 0.01);
  const own = spectrum(engine, hessian);
  const [a, b] = [engine.alloc(2, linear.cols), engine.alloc(linear.rows, 2)];
  engine.fill(a, 0.1);
  engine.fill(b, 0.2);
  const inverse = inverseFactor(engine, hessian);
  const ordered = orderedFactor(engine, hessian);
  const task = taskFactor(engine, { cols: linear.cols, spectrum: own }, other);
  const kept = dampedHessian(engine, hessian);
  const pair = taskFactor(engine, { cols: linear.cols, hessian: kept }, other);
  return { cols: linear.cols, aligned, tuned, third, hessian, other, own, a, b, inverse, ordered, task, kept, pair };
}

for (const [name, make] of Object.entries(makers)) {
  test(`${name}: whichever operation fails, nothing stays in engine memory`, async () => {
    using engine = (await openEngine("wasm")).engine;
    const given = givenOn(engine);
    const before = engine.bytesInUse;
    let n = 1;
    for (; ; n++) {
      try {
        make(failingAt(engine, n), given)[Symbol.dispose]();
        break;
      } catch (error) {
        if (!(error instanceof Injected)) throw error;
        expect({ after: error.message, bytes: engine.bytesInUse - before }).toEqual({ after: error.message, bytes: 0 });
      }
    }
    expect(engine.bytesInUse).toBe(before);
    expect(n).toBeGreaterThan(1);
  });
}
