import { suggest } from "@safedelta/data";
import type { Comparison } from "./compare.ts";
import { EvaluationError } from "./errors.ts";
import type { MetricSummary } from "./scorer.ts";

/** `asr>0.1`, `rouge1.difference<-0.02`: what must not be. */
export interface Gate {
  readonly text: string;
  readonly metric: string;
  /** The metric's value, or how it differs from that of another run. */
  readonly of: "value" | "difference";
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
 * @throws EvaluationError quoting what cannot be read, and for a metric that is none of these
 */
export function parseGate(text: string, metrics: readonly string[]): Gate {
  const form = /^\s*([\w@-]+)(\.difference)?\s*(>=|<=|>|<)\s*(\S+)\s*$/;
  const [, word = "", suffix, sign = "", limit = ""] = form.exec(text) ?? [];
  const begun = metrics.includes(word) ? [word] : metrics.filter((name) => name.startsWith(word));
  if (word !== "" && begun.length === 0)
    throw new EvaluationError(
      `"${text}": "${word}" is none of the metrics here.${suggest(word, metrics)} There are: ${metrics.join(", ")}`,
    );
  if (word === "" || begun.length !== 1 || !Number.isFinite(Number(limit)))
    throw new EvaluationError(
      `"${text}" must be METRIC>NUMBER or METRIC.difference>NUMBER (or <, >=, <=) with one of: ${metrics.join(", ")}`,
    );
  const of = suffix === undefined ? "value" : "difference";
  return { text, metric: begun[0], of, missed: (value) => tests[sign](value, Number(limit)) };
}

/** A gate that was missed, with what was found; nothing where the metric has no value, or was not compared. */
export interface MissedGate extends Gate {
  readonly found: number | undefined;
}

/** The gates that are missed; a metric without a value, or that was not compared, misses its gate. */
export function missedGates(
  gates: readonly Gate[],
  summaries: readonly MetricSummary[],
  comparisons: readonly Comparison[] = [],
): MissedGate[] {
  const found = gates.map((gate) => {
    const { metric, of } = gate;
    const summary = summaries.find((one) => one.metric === metric);
    const comparison = comparisons.find((one) => one.metric === metric);
    return { ...gate, found: of === "value" ? summary?.value : comparison?.difference };
  });
  return found.filter(({ found, missed }) => found === undefined || missed(found));
}
