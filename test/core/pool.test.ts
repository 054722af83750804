import { describe, expect, test } from "bun:test";
import {
  type Budget,
  type Curve,
  exactCurve,
  numbersAt,
  optimalCurve,
  orderedFactor,
  solvePool,
  spectrum,
} from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import fc from "fast-check";
import { onEachEngine } from "./engines.ts";
import { type LinearShape, linearShapes, onLinear, randomLinear, upload } from "./linears.ts";

const runs = { numRuns: 30, seed: 20250512 };
const pools = fc.array(linearShapes, { minLength: 1, maxLength: 5 });
const shares = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 1e-6, max: 0.999, noNaN: true }));
const curveModes = ["exact", "optimal"] as const;

onEachEngine((engineNow) => {
  describe.each(curveModes)("a pool of %s", (mode) => {
    test("spends the wanted share of the pool's loss", () => {
      fc.assert(
        fc.property(pools, shares, (shapes, share) => {
          const curves = shapes.map((shape) => curveOf(engineNow(), mode, shape));
          const { spent, full } = totals(curves, solvePool(curves, share));
          expect(spent).toBeLessThanOrEqual(share * full * (1 + 1e-9));
          if (mode === "optimal") expect(spent).toBeGreaterThanOrEqual(share * full * (1 - 1e-9));
        }),
        runs,
      );
    });

    test("of one linear is that linear's own budget", () => {
      fc.assert(
        fc.property(linearShapes, shares, (shape, share) => {
          const curve = curveOf(engineNow(), mode, shape);
          const pooled = numbersAt(curve, solvePool([curve], share)[0]);
          const own = numbersAt(curve, { kind: "loss", share });
          expect({ ...pooled, budget: 0 }).toEqual({ ...own, budget: 0 });
        }),
        runs,
      );
    });

    test("spends no more anywhere than the aligned and the tuned model at the ends", () => {
      const curves = [1, 2, 3].map((seed) => curveOf(engineNow(), mode, { ...plainShape, seed }));
      expect(totals(curves, solvePool(curves, 0)).spent).toBe(0);
      const { spent, full } = totals(curves, solvePool(curves, 1));
      expect(spent).toBe(full);
    });
  });

  test("an optimal pool has one λ: no shift of loss between two linears lowers the summed gap", () => {
    fc.assert(
      fc.property(linearShapes, linearShapes, fc.double({ min: 0.01, max: 0.9, noNaN: true }), (a, b, share) => {
        const curves = [a, b].map((shape) => curveOf(engineNow(), "optimal", shape));
        const pooled = totals(curves, solvePool(curves, share));
        const each = totals(curves, [
          { kind: "loss", share },
          { kind: "loss", share },
        ]);
        expect(pooled.gap).toBeLessThanOrEqual(each.gap * (1 + 1e-6) + 1e-12);
      }),
      runs,
    );
  });

  test("an exact pool keeps columns up to one sensitivity", () => {
    fc.assert(
      fc.property(pools, fc.double({ min: 0.01, max: 0.9, noNaN: true }), (shapes, share) => {
        const curves = shapes.map((shape) => curveOf(engineNow(), "exact", shape));
        const kept = curves.flatMap((curve, i) => {
          if (curve.mode !== "exact") return [];
          const n = curve.sensitivity.length;
          const k = Math.round((numbersAt(curve, solvePool(curves, share)[i]).keep ?? 0) * n);
          return [{ last: curve.sensitivity[k - 1] ?? 0, next: curve.sensitivity[k] ?? Number.POSITIVE_INFINITY }];
        });
        const highest = Math.max(...kept.map(({ last }) => last));
        const lowest = Math.min(...kept.map(({ next }) => next));
        expect(highest).toBeLessThanOrEqual(lowest);
      }),
      runs,
    );
  });

  test("refuses a mixture, a share out of range, and a pooled budget for one linear", () => {
    const [exact, optimal] = curveModes.map((mode) => curveOf(engineNow(), mode, plainShape));
    expect(() => solvePool([exact, optimal], 0.1)).toThrow(/cannot mix/);
    for (const share of [-0.1, 1.1, Number.NaN]) expect(() => solvePool([optimal], share)).toThrow(/0 … 1/);
    for (const curve of [exact, optimal]) {
      expect(() => numbersAt(curve, { kind: "globalLoss", share: 0.1 })).toThrow(/solvePool/);
    }
    expect(solvePool([], 0.1)).toEqual([]);
  });
});

const plainShape: LinearShape = { rows: 3, cols: 8, nTokens: 30, nDead: 1, unchanged: 0, seed: 1 };

function curveOf(engine: Engine, mode: "exact" | "optimal", shape: LinearShape): Curve {
  const linear = randomLinear(shape);
  const curves: Curve[] = [];
  onLinear(engine, linear, ({ hessian }) => {
    using delta = upload(engine, linear.delta);
    if (mode === "exact") {
      using factor = orderedFactor(engine, hessian);
      curves.push(exactCurve(engine, delta, factor, true));
    } else {
      using factor = spectrum(engine, hessian);
      curves.push(optimalCurve(engine, delta, factor));
    }
  });
  return curves[0];
}

function totals(curves: readonly Curve[], budgets: readonly Budget[]) {
  const numbers = curves.map((curve, i) => numbersAt(curve, budgets[i]));
  const sum = (of: (one: (typeof numbers)[number]) => number) => numbers.reduce((total, one) => total + of(one), 0);
  return {
    spent: sum((one) => one.safetyLoss),
    full: sum((one) => one.fullSafetyLoss),
    gap: sum((one) => one.utilityGap),
  };
}
