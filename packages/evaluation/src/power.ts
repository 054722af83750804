import { EvaluationError } from "./errors.ts";
import { normalQuantile } from "./normal.ts";

/** How sure a test is to be. */
export interface PowerOptions {
  /** Two-sided level. */
  readonly level?: number;
  /** Chance to see a difference of the size asked for. */
  readonly power?: number;
}

/**
 * Smallest difference between two rates near `rate` that n examples each show, by the normal approximation (Fleiss, Statistical
 * Methods for Rates and Proportions, without continuity correction); downwards where the rate is above ½. A paired test sees smaller
 * ones the more the two agree. Undefined where even the largest difference would not show. @throws EvaluationError
 */
export function smallestDifference(rate: number, n: number, options: PowerOptions = {}): number | undefined {
  if (!(rate >= 0 && rate <= 1 && Number.isSafeInteger(n) && n >= 1))
    throw new EvaluationError(`power: rate ${rate} of ${n} examples; a share of at least one is needed`);
  const low = Math.min(rate, 1 - rate);
  let [least, most] = [0, 1 - low];
  if (neededPerGroup(low, low + most, options) > n) return undefined;
  while (most - least > 1e-12) {
    const middle = (least + most) / 2;
    if (neededPerGroup(low, low + middle, options) > n) least = middle;
    else most = middle;
  }
  return most;
}

/** Examples in each group to tell p from q; not whole. @throws EvaluationError for a level or a power out of range */
export function neededPerGroup(p: number, q: number, { level = 0.05, power = 0.8 }: PowerOptions = {}): number {
  if (!(level > 0 && level < 1 && power >= 0.5 && power < 1))
    throw new EvaluationError(`power: level ${level} must lie in 0 … 1, power ${power} in 0.5 … 1`);
  const mean = (p + q) / 2;
  const noise = normalQuantile(1 - level / 2) * Math.sqrt(2 * mean * (1 - mean));
  const signal = normalQuantile(power) * Math.sqrt(p * (1 - p) + q * (1 - q));
  return ((noise + signal) / (q - p)) ** 2;
}
