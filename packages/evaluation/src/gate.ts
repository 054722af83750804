import { EvaluationError } from "./errors.ts";
import type { MetricSummary } from "./scorer.ts";

/** `asr>0.1`: what must not be. */
export interface Gate {
  readonly text: string;
  readonly metric: string;
  missed(value: number): boolean;
}

const tests: Readonly<Record<string, (value: number, limit: number) => boolean>> = {
  ">": (value, limit) => value > limit,
  ">=": (value, limit) => value >= limit,
  "<": (value, limit) => value < limit,
  "<=": (value, limit) => value <= limit,
};

/**
 * Read a gate for these metrics; the beginning of a name is enough where only one begins so.
 * @throws EvaluationError quoting what cannot be read
 */
export function parseGate(text: string, metrics: readonly string[]): Gate {
  const [, word = "", sign = "", limit = ""] = /^\s*([\w@-]+)\s*(>=|<=|>|<)\s*(\S+)\s*$/.exec(text) ?? [];
  const begun = metrics.includes(word) ? [word] : metrics.filter((name) => name.startsWith(word));
  if (word === "" || begun.length !== 1 || !Number.isFinite(Number(limit)))
    throw new EvaluationError(`"${text}" must be METRIC>NUMBER (or <, >=, <=) with one of: ${metrics.join(", ")}`);
  return { text, metric: begun[0], missed: (value) => tests[sign](value, Number(limit)) };
}

/** The gates that are missed; a metric without a value misses its gate. */
export function missedGates(gates: readonly Gate[], summaries: readonly MetricSummary[]): Gate[] {
  return gates.filter(({ metric, missed }) => {
    const value = summaries.find((summary) => summary.metric === metric)?.value;
    return value === undefined || missed(value);
  });
}
