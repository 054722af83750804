import { EvaluationError } from "./errors.ts";

/** Two rates measured on the same examples, compared example by example. */
export interface PairedDifference {
  /** rate(first) − rate(second), from −1 to 1. */
  readonly difference: number;
  /** Two-sided p-value of "both succeed equally often". */
  readonly pValue: number;
  /** Examples on which only the first succeeded. */
  readonly nFirstOnly: number;
  /** Examples on which only the second succeeded. */
  readonly nSecondOnly: number;
}

/**
 * McNemar's exact test: of the examples on which the two disagree, each side would win half by chance (binomial, two-sided).
 * Throws EvaluationError when the vectors are empty or of different lengths: they would not speak of the same examples.
 */
export function pairedDifference(first: readonly boolean[], second: readonly boolean[]): PairedDifference {
  if (first.length !== second.length || first.length === 0) {
    throw new EvaluationError(`pairedDifference: ${first.length} and ${second.length} outcomes are not paired`);
  }
  const nFirstOnly = first.filter((success, i) => success && !second[i]).length;
  const nSecondOnly = second.filter((success, i) => success && !first[i]).length;
  const tail = binomialTail(Math.min(nFirstOnly, nSecondOnly), nFirstOnly + nSecondOnly);
  const difference = (nFirstOnly - nSecondOnly) / first.length;
  return { difference, pValue: Math.min(1, 2 * tail), nFirstOnly, nSecondOnly };
}

/** P(X <= k) for X of n fair coins: the largest term in logarithms (2⁻ⁿ underflows), the smaller ones relative to it. */
function binomialTail(k: number, n: number): number {
  let logLargest = -n * Math.LN2;
  for (let i = 1; i <= k; i++) logLargest += Math.log((n - k + i) / i);
  let relative = 1;
  let sum = 1;
  for (let i = k; i > 0; i--) {
    relative *= i / (n - i + 1);
    sum += relative;
  }
  return Math.exp(logLargest) * sum;
}
