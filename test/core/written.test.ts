import { describe, expect, test } from "bun:test";
import {
  type Budget,
  dampedHessian,
  inverseFactor,
  keptAsWritten,
  keptMask,
  type Mode,
  numbersAsWritten,
  orderedFactor,
  type PreparedGroup,
  repair,
  spectrum,
} from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { combine, norm, type Plain } from "../support/plain.ts";
import { onEachEngine } from "./engines.ts";
import { download, onLinear, type PlainLinear, randomLinear, safetyLossOf, upload } from "./linears.ts";

/** A bf16 value near x: the upper half of its bits. */
function toBf16(x: number): number {
  const bits = new Uint32Array(Float32Array.of(x).buffer);
  bits[0] &= 0xffff0000;
  return new Float32Array(bits.buffer)[0];
}

const isBf16 = ({ values }: Plain) => values.every((value) => Object.is(value, toBf16(value)));

/** Rounded to bf16 and widened again, new. */
function asBf16(engine: Engine, m: Matrix): Matrix {
  using narrow = engine.alloc(m.rows, m.cols, "bf16");
  const wide = engine.alloc(m.rows, m.cols);
  engine.convert(m, narrow);
  engine.convert(narrow, wide);
  return wide;
}

const shape = { rows: 12, cols: 40, nTokens: 60, nDead: 3, unchanged: 0.3, seed: 77 };

/** Modes by what a group keeps for them. */
const kept = [
  ["reference", "inverse"],
  ["exact", "ordered"],
  ["optimal", "spectrum"],
  ["optimal", "hessian"],
] as const satisfies readonly (readonly [Mode, string])[];
const makers = { inverse: inverseFactor, ordered: orderedFactor, spectrum, hessian: dampedHessian };

describe("numbers as written", () => {
  onEachEngine((engine, { tolerance }) => {
    for (const [mode, part] of kept) {
      test(`${mode} by ${part}: loss, gap and norm are those of the weight rounded to bf16`, () => {
        const linear = randomLinear(shape);
        onLinear(engine(), linear, (weights) => {
          using damped = upload(engine(), linear.hessian);
          using factor = makers[part](engine(), damped);
          const prepared: PreparedGroup = { cols: shape.cols, [part]: factor };
          const { weight, numbers } = repair(engine(), mode, weights, prepared, { kind: "loss", share: 0.1 });
          using repaired = weight;
          using written = asBf16(engine(), repaired);
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

    /** Repair, round to bf16, and compare what is told of kept entries with the bits. */
    function onWritten([mode, part]: (typeof kept)[number], budget: Budget, linear: PlainLinear) {
      onLinear(engine(), linear, (weights) => {
        using damped = upload(engine(), linear.hessian);
        using factor = makers[part](engine(), damped);
        const prepared: PreparedGroup = { cols: linear.cols, [part]: factor };
        const { weight, numbers } = repair(engine(), mode, weights, prepared, budget);
        using repaired = weight;
        using written = asBf16(engine(), repaired);
        const mask = keptAsWritten(engine(), numbers.kept, written, weights.tuned);
        const { values } = download(engine(), written);
        const chosen = keptMask(numbers.kept);
        const expected = chosen.map((bit, i) => (bit === 1 && Object.is(values[i], linear.tuned.values[i]) ? 1 : 0));
        expect(mask).toEqual(expected);
        const told = numbersAsWritten(engine(), numbers, weights, written, prepared);
        const held = expected.filter((bit) => bit === 1).length / mask.length;
        expect(told.keptShare).toBe(held);
        expect(told).not.toHaveProperty("kept");
        check(held, numbers.keptShare);
      });

      function check(held: number, chosen: number) {
        expect(chosen).toBeGreaterThan(0);
        if (isBf16(linear.tuned)) expect(held).toBe(chosen);
        else expect(held).toBeLessThan(chosen);
      }
    }

    const tall = { ...shape, rows: 300 }; // more rows than are compared at once
    const budgets = {
      reference: { kind: "scale", value: 50 },
      exact: { kind: "keep", share: 0.5 },
      optimal: { kind: "strength", value: 0 },
    } as const;
    const ways = kept.map((way) => [way.join(" by "), way] as const);
    test.each(ways)("%s: kept counts the entries whose written bits are the tuned weight's", (_, way) => {
      const linear = randomLinear(tall);
      onWritten(way, budgets[way[0]], linear);
      onWritten(way, budgets[way[0]], {
        ...linear,
        tuned: { ...linear.tuned, values: linear.tuned.values.map(toBf16) },
      });
    });
  });
});
