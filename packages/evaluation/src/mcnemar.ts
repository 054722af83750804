import { EvaluationError } from "./errors.ts";

/** How two yes-or-no results on the same examples differ. */
export interface McNemar {
  /** Examples on which only the first, only the second, is true. */
  readonly onlyA: number;
  readonly onlyB: number;
  /** Exact two-sided p-value. */
  readonly p: number;
}

/**
 * McNemar's exact test: of the examples on which two models disagree, is either side more frequent than a fair coin allows?
 * p = min(1, 2·P(X <= min(onlyA, onlyB))), X ~ Binomial(onlyA + onlyB, ½). @throws EvaluationError for lists that do not pair up
 */
export function mcnemar(a: readonly boolean[], b: readonly boolean[]): McNemar {
  if (a.length === 0 || a.length !== b.length)
    throw new EvaluationError(`mcnemar: ${a.length} and ${b.length} results do not pair up`);
  const onlyA = a.filter((value, i) => value && !b[i]).length;
  const onlyB = b.filter((value, i) => value && !a[i]).length;
  return { onlyA, onlyB, p: Math.min(1, 2 * fairCoinTail(Math.min(onlyA, onlyB), onlyA + onlyB)) };
}

/** P(X <= k) for X ~ Binomial(n, ½); each term from the one before, in logarithms, so that 2⁻ⁿ does not vanish. */
function fairCoinTail(k: number, n: number): number {
  let logTerm = -n * Math.LN2;
  let sum = Math.exp(logTerm);
  for (let i = 1; i <= k; i++) {
    logTerm += Math.log((n - i + 1) / i);
    sum += Math.exp(logTerm);
  }
  return sum;
}
