import { EvaluationError } from "./errors.ts";

/** How far two judges agree. */
export interface Agreement {
  /** Share of examples with the same verdict. */
  readonly observed: number;
  /** Cohen's kappa; undefined where both always gave the same single verdict, which says nothing. */
  readonly kappa: number | undefined;
  readonly n: number;
}

/**
 * Cohen's kappa (1960) of two judges' verdicts on the same answers: (observed − chance)/(1 − chance).
 * @throws EvaluationError for lists that do not pair up
 */
export function cohensKappa(a: readonly unknown[], b: readonly unknown[]): Agreement {
  const n = a.length;
  if (n === 0 || n !== b.length) throw new EvaluationError(`kappa: ${n} and ${b.length} verdicts do not pair up`);
  const observed = a.filter((verdict, i) => verdict === b[i]).length / n;
  const share = (verdicts: readonly unknown[], of: unknown) => verdicts.filter((verdict) => verdict === of).length / n;
  const chance = [...new Set(a)].reduce((sum: number, verdict) => sum + share(a, verdict) * share(b, verdict), 0);
  return { observed, kappa: chance === 1 ? undefined : (observed - chance) / (1 - chance), n };
}
