import { describe, expect, test } from "bun:test";
import {
  inverseFactor,
  type Mode,
  numbersAsWritten,
  orderedFactor,
  type PreparedGroup,
  repair,
  spectrum,
} from "@safedelta/core";
import { combine, norm } from "../support/plain.ts";
import { onEachEngine } from "./engines.ts";
import { download, onLinear, randomLinear, safetyLossOf, upload } from "./linears.ts";

const shape = { rows: 12, cols: 40, nTokens: 60, nDead: 3, unchanged: 0.3, seed: 77 };

describe("numbers as written", () => {
  onEachEngine((engine, { tolerance }) => {
    for (const mode of ["reference", "exact", "optimal"] as const satisfies readonly Mode[]) {
      test(`${mode}: loss, gap and norm are those of the weight rounded to bf16`, () => {
        const linear = randomLinear(shape);
        onLinear(engine(), linear, (weights) => {
          using damped = upload(engine(), linear.hessian);
          using factor = { reference: inverseFactor, exact: orderedFactor, optimal: spectrum }[mode](engine(), damped);
          const part = { reference: "inverse", exact: "ordered", optimal: "spectrum" }[mode];
          const prepared: PreparedGroup = { cols: shape.cols, [part]: factor };
          const { weight, numbers } = repair(engine(), mode, weights, prepared, { kind: "loss", share: 0.1 });
          using repaired = weight;
          using narrow = engine().alloc(shape.rows, shape.cols, "bf16");
          using written = engine().alloc(shape.rows, shape.cols);
          engine().convert(repaired, narrow);
          engine().convert(narrow, written);
          const told = numbersAsWritten(engine(), numbers, weights, written, prepared);
          const change = combine(1, download(engine(), written), -1, linear.aligned);
          const gap = combine(1, download(engine(), written), -1, linear.tuned);
          expect(Math.abs(told.safetyLoss / safetyLossOf(change, linear.hessian) - 1)).toBeLessThan(tolerance);
          expect(Math.abs(told.utilityGap / norm(gap) ** 2 - 1)).toBeLessThan(tolerance);
          expect(Math.abs(told.deltaNorm / norm(change) - 1)).toBeLessThan(tolerance);
          expect(told.safetyLoss).not.toBe(numbers.safetyLoss);
        });
      });
    }
  });
});
