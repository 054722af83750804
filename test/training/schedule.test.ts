import { describe, expect, test } from "bun:test";
import { rateAt, type Schedule, type ScheduleName } from "@safedelta/training";

/**
 * transformers 5.24.0, get_scheduler(name, AdamW(lr=1), num_warmup_steps=3, num_training_steps=8): the rate of each update, and of
 * two more.
 */
const expected: Readonly<Record<ScheduleName, readonly number[]>> = {
  constant: [0, 1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1],
  linear: [0, 1 / 3, 2 / 3, 1, 0.8, 0.6, 0.4, 0.2, 0, 0],
  cosine: [0, 1 / 3, 2 / 3, 1, 0.9045084971874737, 0.6545084971874737, 0.34549150281252633, 0.09549150281252633, 0],
};

describe("learning rates are transformers'", () => {
  for (const [name, rates] of Object.entries(expected)) {
    test(name, () => {
      const schedule: Schedule = { name: name as ScheduleName, peak: 2e-5, nWarmup: 3, nUpdates: 8 };
      rates.forEach((rate, i) => {
        expect(Math.abs(rateAt(schedule, i) - 2e-5 * rate)).toBeLessThan(1e-20);
      });
    });
  }

  test("a factor after each epoch, as PyTorch's StepLR(step_size=1, gamma) has it", () => {
    const decay = { factor: 0.85, nUpdates: 2 };
    const rates = [0, 1, 2, 3, 4].map((i) => rateAt({ name: "constant", peak: 1, nWarmup: 0, nUpdates: 6, decay }, i));
    expect(rates).toEqual([1, 1, 0.85, 0.85, 0.85 ** 2]);
  });

  test("without warm-up the first update has the peak", () => {
    for (const name of ["constant", "linear", "cosine"] as const)
      expect(rateAt({ name, peak: 0.5, nWarmup: 0, nUpdates: 4 }, 0)).toBe(0.5);
  });
});
