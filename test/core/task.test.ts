import { describe, expect, test } from "bun:test";
import {
  type Budget,
  lossTolerance,
  numbersAt,
  optimalCurve,
  type RepairNumbers,
  repair,
  repairAdapter,
  solvePool,
  type TaskFactor,
  taskFactor,
  taskRepair,
  type UnstoredNumbers,
} from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import fc from "fast-check";
import { combine, identity, multiply, norm, type Plain, plainOf } from "../support/plain.ts";
import { Random } from "../support/random.ts";
import { type EngineCase, onEachEngine } from "./engines.ts";
import {
  distance,
  download,
  innerProduct,
  largest,
  linearShapes,
  meanDiagonal,
  onLinear,
  type PlainLinear,
  randomHessian,
  randomLinear,
  readRounding,
  safetyLossOf,
  type Uploaded,
  upload,
  withNegativeZeros,
} from "./linears.ts";
import { inverse } from "./oracle.ts";
import { preparedBy, type Route, routes } from "./routes.ts";

const runs = { numRuns: 25, seed: 20250512 };
const strengths = fc.double({ min: -4, max: 4, noNaN: true }).map((exponent) => 10 ** exponent);
const shares = fc.oneof(fc.constantFrom(1e-9, 0.03), fc.double({ min: 1e-3, max: 0.999, noNaN: true }));

onEachEngine((engineNow, engineCase) => describe.each(routes)("%s", (route) => declare(engineNow, engineCase, route)));

function declare(engineNow: () => Engine, { tolerance }: EngineCase, route: Route): void {
  /** A linear with what its group keeps, and the pair with another Hessian. */
  function onTask(
    linear: PlainLinear,
    taskHessian: Plain,
    use: (uploaded: Uploaded, task: TaskFactor, own: ReturnType<typeof preparedBy>) => void,
  ): void {
    const engine = engineNow();
    onLinear(engine, linear, (uploaded) => {
      using own = preparedBy(engine, route, uploaded.hessian);
      using other = upload(engine, taskHessian);
      using task = taskFactor(engine, own.group, other);
      use(uploaded, task, own);
    });
  }

  function onRepair(
    linear: PlainLinear,
    taskHessian: Plain,
    budget: Budget,
    check: (weight: Plain, numbers: RepairNumbers) => void,
  ): void {
    onTask(linear, taskHessian, (uploaded, task) => {
      const { weight, numbers } = taskRepair(engineNow(), uploaded, task, budget);
      using held = weight;
      check(download(engineNow(), held), numbers);
    });
  }

  describe("optimal with task data", () => {
    test("is aligned + Δ H_u (H_u + λH)⁻¹ and predicts the true numbers", () => {
      fc.assert(
        fc.property(linearShapes, strengths, (shape, strength) => {
          const linear = randomLinear(shape);
          const taskHessian = randomHessian(shape, new Random(shape.seed + 5));
          onRepair(linear, taskHessian, { kind: "strength", value: strength }, (weight, numbers) => {
            const lambda = (strength * meanDiagonal(taskHessian)) / meanDiagonal(linear.hessian);
            const d = multiply(
              multiply(linear.delta, taskHessian),
              inverse(combine(1, taskHessian, lambda, linear.hessian)),
            );
            const size = largest(linear.delta) + largest(d);
            expect(distance(weight, combine(1, linear.aligned, 1, d))).toBeLessThanOrEqual(
              20 * tolerance * size + readRounding(linear),
            );
            const [loss, full] = [d, linear.delta].map((change) => safetyLossOf(change, linear.hessian));
            expect(Math.abs(numbers.safetyLoss - loss)).toBeLessThanOrEqual(10 * tolerance * full);
            const left = combine(1, d, -1, linear.delta);
            const tasks = innerProduct(multiply(linear.delta, taskHessian), linear.delta);
            const gap = innerProduct(multiply(left, taskHessian), left);
            expect(Math.abs((numbers.taskGap ?? Number.NaN) - gap)).toBeLessThanOrEqual(10 * tolerance * tasks);
            expect(numbers.utilityGap).toBeCloseTo(norm(left) ** 2, 5);
            expect(numbers.deltaNorm).toBeCloseTo(norm(d), 4);
            expect(numbers.strength).toBe(strength);
          });
        }),
        runs,
      );
    });

    test("no perturbation improves both the task outputs and the safety loss", () => {
      fc.assert(
        fc.property(linearShapes, strengths, fc.integer({ min: -4, max: 0 }), (shape, strength, exponent) => {
          const linear = randomLinear(shape);
          const taskHessian = randomHessian(shape, new Random(shape.seed + 5));
          onRepair(linear, taskHessian, { kind: "strength", value: strength }, (weight) => {
            const random = new Random(shape.seed + 1);
            const d = combine(1, weight, -1, linear.aligned);
            const moved = { ...d, values: d.values.map((value) => value + 0.003 * 10 ** exponent * random.normal()) };
            const improves = (h: Plain, from: Plain) => {
              const [before, after] = [d, moved].map((change) => safetyLossOf(combine(1, change, -1, from), h));
              return after < before - (tolerance ** 2 + 1e-8) * safetyLossOf(linear.delta, h);
            };
            const zero = plainOf(linear.rows, linear.cols, new Float64Array(d.values.length));
            expect(improves(linear.hessian, zero) && improves(taskHessian, linear.delta)).toBe(false);
          });
        }),
        runs,
      );
    });

    test("a wanted loss is met, alone and in a pool", () => {
      fc.assert(
        fc.property(linearShapes, shares, (shape, share) => {
          const linear = randomLinear(shape);
          onTask(linear, randomHessian(shape, new Random(shape.seed + 5)), (uploaded, task) => {
            const engine = engineNow();
            const met = (budget: Budget, below: number) => {
              const { weight, numbers } = taskRepair(engine, uploaded, task, budget);
              weight[Symbol.dispose]();
              const limit = share * numbers.fullSafetyLoss;
              expect(numbers.safetyLoss).toBeLessThanOrEqual(limit * (1 + (budget.kind === "loss" ? 1e-12 : 1e-6)));
              expect(numbers.safetyLoss).toBeGreaterThanOrEqual(limit * (1 - below));
            };
            met({ kind: "loss", share }, "forward" in task ? 1e-6 : lossTolerance);
            if (!("forward" in task)) return;
            using delta = upload(engine, linear.delta);
            const curve = optimalCurve(engine, delta, task);
            met(solvePool([curve], share)[0], 1e-6);
            expect(() => numbersAt(curve, { kind: "loss", share })).toThrow(/taskRepair/);
          });
        }),
        runs,
      );
    });

    test("with H_u = c·I it is the plain form", () => {
      fc.assert(
        fc.property(linearShapes, strengths, fc.constantFrom(0.1, 1, 700), (shape, value, c) => {
          const linear = randomLinear(shape);
          const taskHessian = combine(c, identity(linear.cols), 0, identity(linear.cols));
          onTask(linear, taskHessian, (uploaded, task, own) => {
            const engine = engineNow();
            const budget = { kind: "strength", value } as const;
            using plain = repair(engine, "optimal", uploaded, own.group, budget).weight;
            using withTask = taskRepair(engine, uploaded, task, budget).weight;
            expect(distance(download(engine, plain), download(engine, withTask))).toBeLessThanOrEqual(
              10 * tolerance * largest(linear.delta) + 2 * readRounding(linear),
            );
          });
        }),
        runs,
      );
    });

    test("the ends of the dial are the aligned and the tuned model, bit for bit", () => {
      fc.assert(
        fc.property(linearShapes, fc.constantFrom(0, 1), (shape, share) => {
          const linear = withNegativeZeros(randomLinear(shape));
          const taskHessian = randomHessian(shape, new Random(shape.seed + 5));
          onRepair(linear, taskHessian, { kind: "loss", share }, (weight) => {
            const expected = share === 1 ? linear.tuned : linear.aligned;
            expect(weight.values.every((value, at) => Object.is(value, expected.values[at]))).toBe(true);
          });
        }),
        runs,
      );
    });
  });

  describe.each(["plain", "task"] as const)("adapters, %s", (form) => {
    test("the repaired adapter merged is the repaired merge, with the same numbers", () => {
      fc.assert(
        fc.property(linearShapes, fc.integer({ min: 1, max: 6 }), shares, (shape, rank, share) => {
          const engine = engineNow();
          const { linear, a, b } = lowRank(randomLinear(shape), rank, new Random(shape.seed + 9));
          onTask(linear, randomHessian(shape, new Random(shape.seed + 5)), (uploaded, task, own) => {
            using adapterA = upload(engine, a);
            using adapterB = upload(engine, b);
            const adapter = { a: adapterA, b: adapterB };
            const factor = form === "task" ? task : own.factor;
            const merged =
              form === "task"
                ? taskRepair(engine, uploaded, task, { kind: "loss", share })
                : repair(engine, "optimal", uploaded, own.group, { kind: "loss", share });
            using weight = merged.weight;
            const repaired = repairAdapter(engine, adapter, factor, { kind: "loss", share });
            using newA = repaired.a;
            const delta = multiply(b, download(engine, newA));
            const limit = 30 * tolerance * (largest(linear.delta) + largest(delta));
            expect(distance(combine(1, linear.aligned, 1, delta), download(engine, weight))).toBeLessThanOrEqual(limit);
            expectSameNumbers(repaired.numbers, merged.numbers, 30 * tolerance);
          });
        }),
        runs,
      );
    });

    test("the ends of the dial are no change and the adapter itself", () => {
      const engine = engineNow();
      const shape = { rows: 5, cols: 12, nTokens: 30, nDead: 1, unchanged: 0, seed: 4 };
      const { linear, a, b } = lowRank(randomLinear(shape), 2, new Random(2));
      onTask(linear, randomHessian(shape, new Random(3)), (_, task, own) => {
        using adapterA = upload(engine, a);
        using adapterB = upload(engine, b);
        const factor = form === "task" ? task : own.factor;
        using none = repairAdapter(engine, { a: adapterA, b: adapterB }, factor, { kind: "loss", share: 0 }).a;
        using all = repairAdapter(engine, { a: adapterA, b: adapterB }, factor, { kind: "loss", share: 1 }).a;
        expect(largest(download(engine, none))).toBe(0);
        expect(distance(download(engine, all), a)).toBe(0);
        const half = { kind: "loss", share: 0.5 } as const;
        const run = (a: Matrix, b: Matrix) => () => repairAdapter(engine, { a, b }, factor, half);
        expect(run(adapterB, adapterA)).toThrow(/adapter's A is/);
        engine.write(adapterB.view(0, 1, 1, 1), Float32Array.of(Number.NaN));
        expect(run(adapterA, adapterB)).toThrow(/adapter's B holds NaN/);
      });
    });
  });
}

/** The same linear with Δ = B A. It starts at zero, where adding a small Δ rounds nothing away. */
function lowRank(linear: PlainLinear, rank: number, random: Random) {
  const a = plainOf(rank, linear.cols, random.normals(rank * linear.cols, 0.05));
  const b = plainOf(linear.rows, rank, random.normals(linear.rows * rank, 0.05));
  const aligned = plainOf(linear.rows, linear.cols, new Float64Array(linear.rows * linear.cols));
  const tuned = plainOf(linear.rows, linear.cols, Float32Array.from(multiply(b, a).values));
  return { a, b, linear: { ...linear, aligned, tuned, delta: tuned } };
}

/** All but the strength, which the rounding of the merge moves more than the rest. */
function expectSameNumbers(found: RepairNumbers, expected: UnstoredNumbers, relative: number): void {
  expect([...Object.keys(found), "kept"]).toEqual(Object.keys(expected));
  const within = (name: keyof RepairNumbers, size: number) => {
    expect(Math.abs(Number(found[name] ?? 0) - Number(expected[name] ?? 0))).toBeLessThanOrEqual(relative * size);
  };
  within("safetyLoss", expected.fullSafetyLoss);
  within("fullSafetyLoss", expected.fullSafetyLoss);
  within("budget", expected.fullSafetyLoss);
  within("deltaNorm", expected.tunedDeltaNorm + expected.deltaNorm);
  within("tunedDeltaNorm", expected.tunedDeltaNorm);
  within("utilityGap", expected.tunedDeltaNorm ** 2 + expected.deltaNorm ** 2);
  within("keptShare", 0);
}
