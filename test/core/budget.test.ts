import { describe, expect, test } from "bun:test";
import {
  adapterLosses,
  type Budget,
  CoreError,
  checkBudget,
  exactCurve,
  inverseFactor,
  type Mode,
  optimalCurve,
  optimalLosses,
  orderedFactor,
  repair,
  spectrum,
  taskFactor,
  taskRepair,
} from "@safedelta/core";
import { onEachEngine } from "./engines.ts";
import { onLinear, randomLinear, upload } from "./linears.ts";

const modes: readonly Mode[] = ["reference", "none", "paper", "exact", "optimal"];
const dials: Record<Budget["kind"], readonly Mode[]> = {
  loss: modes,
  globalLoss: ["exact", "optimal"],
  strength: ["optimal"],
  keep: ["exact"],
  scale: ["reference", "none", "paper"],
};

function budgetOf(kind: Budget["kind"], value: number): Budget {
  return kind === "strength" || kind === "scale" ? { kind, value } : { kind, share: value };
}

describe("which dial goes with which mode", () => {
  for (const mode of modes) {
    for (const [kind, allowed] of Object.entries(dials) as [Budget["kind"], readonly Mode[]][]) {
      test(`${mode} and ${kind}`, () => {
        const check = () => checkBudget(mode, budgetOf(kind, 0.5));
        if (allowed.includes(mode)) expect(check).not.toThrow();
        else expect(check).toThrow(new RegExp(`"${mode}" has no budget of kind "${kind}"`));
      });
    }
  }

  test("a refusal names the mode's dials, and says why a pool needs a curve", () => {
    expect(() => checkBudget("paper", budgetOf("keep", 0.5))).toThrow(/Give one of: loss, scale/);
    expect(() => checkBudget("reference", budgetOf("globalLoss", 0.5))).toThrow(/only exact and optimal have/);
  });

  test("values out of range are refused", () => {
    for (const value of [-1e-9, 1.0001, Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const kind of ["loss", "globalLoss", "keep"] as const) {
        expect(() => checkBudget("exact", budgetOf(kind, value))).toThrow(CoreError);
      }
    }
    for (const value of [-1, Number.NaN]) {
      expect(() => checkBudget("optimal", budgetOf("strength", value))).toThrow(/must be 0 or more/);
      expect(() => checkBudget("paper", budgetOf("scale", value))).toThrow(/must be 0 or more/);
    }
    expect(() => checkBudget("optimal", budgetOf("strength", Number.POSITIVE_INFINITY))).not.toThrow();
  });
});

onEachEngine((engineNow) => {
  const linear = randomLinear({ rows: 3, cols: 5, nTokens: 20, nDead: 1, unchanged: 0, seed: 11 });
  const half: Budget = { kind: "loss", share: 0.5 };

  test.each(modes)("%s refuses NaN, Inf, other shapes, and a state without its factor", (mode) => {
    const engine = engineNow();
    onLinear(engine, linear, ({ aligned, tuned, hessian }) => {
      using inverse = inverseFactor(engine, hessian);
      using ordered = orderedFactor(engine, hessian);
      using own = spectrum(engine, hessian);
      const prepared = { cols: linear.cols, inverse, ordered, spectrum: own };
      const run = (weights: Parameters<typeof repair>[2], state: Parameters<typeof repair>[3] = prepared) =>
        repair(engine, mode, weights, state, half);
      expect(() => run({ aligned, tuned: tuned.view(0, 0, 2, 5) })).toThrow(/tuned weight is 2 x 5, expected 3 x 5/);
      expect(() => run({ aligned: aligned.view(0, 0, 3, 4), tuned })).toThrow(
        /aligned weight is 3 x 4, expected 3 x 5/,
      );
      expect(() => run({ aligned, tuned }, { cols: linear.cols })).toThrow(`no factor for mode "${mode}"`);
      for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY]) {
        engine.write(tuned.view(2, 4, 1, 1), Float32Array.of(bad));
        expect(() => run({ aligned, tuned })).toThrow(/tuned weight holds NaN or Inf in column 4/);
        expect(() => run({ aligned: tuned, tuned: aligned })).toThrow(/aligned weight holds NaN or Inf in column 4/);
      }
    });
  });

  test("curves, task data and adapters refuse what does not fit", () => {
    const engine = engineNow();
    onLinear(engine, linear, ({ aligned, tuned, hessian }) => {
      using ordered = orderedFactor(engine, hessian);
      using own = spectrum(engine, hessian);
      using task = taskFactor(engine, { cols: linear.cols, spectrum: own }, hessian);
      using narrow = upload(engine, { rows: 3, cols: 4, values: new Float64Array(12) });
      for (const run of [
        () => exactCurve(engine, narrow, ordered),
        () => optimalCurve(engine, narrow, own),
        () => adapterLosses(engine, { a: narrow, b: narrow }, own, 1),
        () => optimalLosses(engine, narrow, own, 1),
        () => taskRepair(engine, { aligned: narrow, tuned }, task, half),
        () => taskFactor(engine, { cols: linear.cols, spectrum: own }, narrow),
      ]) {
        expect(run).toThrow(expect.objectContaining({ code: "shape" }));
      }
      expect(() => taskFactor(engine, { cols: linear.cols }, hessian)).toThrow(/no factor for mode "optimal"/);
      engine.write(tuned.view(0, 1, 1, 1), Float32Array.of(Number.NaN));
      for (const run of [
        () => exactCurve(engine, tuned, ordered),
        () => optimalCurve(engine, tuned, own),
        () => optimalLosses(engine, tuned, own, 1),
        () => taskRepair(engine, { aligned, tuned }, task, half),
      ]) {
        expect(run).toThrow(/NaN or Inf in column 1/);
      }
    });
  });
});
