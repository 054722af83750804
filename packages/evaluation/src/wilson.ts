import { EvaluationError } from "./errors.ts";
import { normalQuantile } from "./normal.ts";

/** A share of successes with its confidence interval, all between 0 and 1. */
export interface Rate {
  readonly rate: number;
  readonly low: number;
  readonly high: number;
  /** How many trials it rests on. */
  readonly n: number;
}

/**
 * Wilson's score interval for `nSuccesses` out of `n` (Wilson 1927, without continuity correction).
 *
 * Unlike rate ± z·√(p(1−p)/n) it stays inside [0, 1] and does not collapse at 0 of n and n of n, where safety rates live.
 * Throws EvaluationError when the counts are not whole numbers with 0 <= nSuccesses <= n and n >= 1, or the confidence is not one.
 */
export function wilson(nSuccesses: number, n: number, confidence = 0.95): Rate {
  checkCounts(nSuccesses, n);
  const z2 = normalQuantile(confidenceToTail(confidence)) ** 2;
  const rate = nSuccesses / n;
  const centre = (nSuccesses + z2 / 2) / (n + z2);
  const half = (Math.sqrt(z2) / (n + z2)) * Math.sqrt((nSuccesses * (n - nSuccesses)) / n + z2 / 4);
  // At the ends the limits are exactly 0 and 1; rounding would miss them by an ulp.
  return { rate, low: nSuccesses === 0 ? 0 : centre - half, high: nSuccesses === n ? 1 : centre + half, n };
}

function checkCounts(nSuccesses: number, n: number): void {
  const whole = Number.isSafeInteger(nSuccesses) && Number.isSafeInteger(n);
  if (whole && n >= 1 && nSuccesses >= 0 && nSuccesses <= n) return;
  throw new EvaluationError(`wilson: ${nSuccesses} successes of ${n} is not a count of at least one trial`);
}

/** Nearer to 1 than this, 1 − Φ(z) has too few digits left in f64 for Newton's steps. */
const maxConfidence = 1 - 1e-9;

function confidenceToTail(confidence: number): number {
  if (confidence > 0 && confidence <= maxConfidence) return (1 + confidence) / 2;
  throw new EvaluationError(`wilson: confidence ${confidence} does not lie between 0 and 1 − 1e-9`);
}
