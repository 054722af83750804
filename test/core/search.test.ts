import { describe, expect, test } from "bun:test";
import { lambdaSearch, lossTolerance } from "@safedelta/core";
import fc from "fast-check";
import { Random } from "../support/random.ts";

const runs = { numRuns: 300, seed: 20250512 };

/** A sum Σ z/(1 + λσ)² over eigenvalues that lie within `spread` powers of e, and how often it was asked for. */
interface Spectral {
  readonly sigma: readonly number[];
  readonly z: readonly number[];
}

const spectra: fc.Arbitrary<Spectral> = fc
  .record({
    n: fc.integer({ min: 1, max: 60 }),
    spread: fc.double({ min: 0, max: 12, noNaN: true }),
    seed: fc.integer(),
  })
  .map(({ n, spread, seed }) => {
    const random = new Random(seed);
    const sigma = Array.from({ length: n }, () => Math.exp(spread * (random.uniform() - 0.5)));
    return { sigma, z: sigma.map((value) => value * random.uniform() ** 4) };
  });

const shares = fc.oneof(
  fc.constantFrom(1e-20, 1e-9, 0.01, 0.999999, 1 - 2 ** -40),
  fc.double({ min: 1e-4, max: 0.9999, noNaN: true }),
);

function lossOf({ sigma, z }: Spectral, lambda: number): number {
  return sigma.reduce((sum, value, j) => sum + z[j] / (1 + lambda * value) ** 2, 0);
}

/** Search, answering with the loss times what `noise` gives. */
function search(spectral: Spectral, share: number, noise = () => 1): { lambda: number; nAsked: number } {
  const unit = spectral.sigma.reduce((a, b) => a + b, 0) / spectral.sigma.length;
  const steps = lambdaSearch(lossOf(spectral, 0), share, unit);
  let step = steps.next();
  let nAsked = 0;
  for (; !step.done; nAsked++) step = steps.next(lossOf(spectral, step.value) * noise());
  return { lambda: step.value, nAsked };
}

describe("the search for λ", () => {
  test("ends within the tolerance below the wanted loss, never above, in few steps", () => {
    let [most, all] = [0, 0];
    fc.assert(
      fc.property(spectra, shares, (spectral, share) => {
        const { lambda, nAsked } = search(spectral, share);
        const limit = share * lossOf(spectral, 0);
        const loss = lossOf(spectral, lambda);
        expect(loss).toBeLessThanOrEqual(limit);
        expect(loss).toBeGreaterThanOrEqual(limit * (1 - lossTolerance));
        most = Math.max(most, nAsked);
        all += nAsked;
      }),
      runs,
    );
    expect(most).toBeLessThanOrEqual(16);
    expect(all / runs.numRuns).toBeLessThan(6);
  });

  test("is not led astray by the rounding of f32", () => {
    fc.assert(
      fc.property(spectra, shares, fc.integer(), (spectral, share, seed) => {
        const random = new Random(seed);
        const { lambda, nAsked } = search(spectral, share, () => 1 + 4e-6 * (random.uniform() - 0.5));
        const limit = share * lossOf(spectral, 0);
        expect(lossOf(spectral, lambda)).toBeLessThanOrEqual(limit * (1 + 4e-6));
        expect(lossOf(spectral, lambda)).toBeGreaterThanOrEqual(limit * (1 - lossTolerance - 4e-6));
        expect(nAsked).toBeLessThan(40);
      }),
      runs,
    );
  });

  test("asks nothing at the ends, for nothing to lose, and for a share that is rounding", () => {
    const spectral = { sigma: [1, 2], z: [1, 1] };
    expect(search(spectral, 0)).toEqual({ lambda: Number.POSITIVE_INFINITY, nAsked: 0 });
    expect(search(spectral, 1)).toEqual({ lambda: 0, nAsked: 0 });
    expect(search(spectral, 1e-40)).toEqual({ lambda: Number.POSITIVE_INFINITY, nAsked: 0 });
    expect(search({ sigma: [1], z: [0] }, 0.5)).toEqual({ lambda: 0, nAsked: 0 });
  });

  test("ends where the loss jumps over the band, and never asks outside the bracket", () => {
    const steps = lambdaSearch(1, 0.5, 1);
    let step = steps.next();
    let n = 0;
    let [low, high] = [0, Number.POSITIVE_INFINITY];
    for (; !step.done; n++) {
      expect(step.value).toBeGreaterThan(low);
      expect(step.value).toBeLessThan(high);
      if (step.value < 3) low = step.value;
      else high = step.value;
      step = steps.next((step.value < 3 ? 0.9 : 0.1) / (1 + 0.01 * step.value)); // both sides slope: a line would leave it
    }
    expect(step.value).toBeGreaterThanOrEqual(3);
    expect(step.value).toBeLessThan(3 * (1 + 1e-6));
    expect(n).toBeLessThan(60);
  });
});
