import { pairedBootstrap } from "./bootstrap.ts";
import { EvaluationError } from "./errors.ts";
import { type McNemar, mcnemar } from "./mcnemar.ts";
import type { Results, Sample } from "./results.ts";
import type { MetricSummary } from "./scorer.ts";

/** A metric of two evaluations on the same examples. */
export interface Comparison {
  readonly metric: string;
  /** On the examples that both could judge. */
  readonly a: number;
  readonly b: number;
  /** b − a with its paired bootstrap interval. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** Of a rate. */
  readonly mcnemar?: McNemar;
}

/** One finished evaluation. */
export interface Finished {
  readonly results: Results;
  readonly samples: readonly Sample[];
}

/**
 * Every metric that both share, pair by pair: McNemar of rates, bootstrap of differences.
 * @throws EvaluationError when the prompts differ, or no metric is shared
 */
export function compareResults(a: Finished, b: Finished): Comparison[] {
  if (a.results.promptsSha256 !== b.results.promptsSha256 || a.samples.length !== b.samples.length)
    throw new EvaluationError("compare: the two evaluations have other prompts, so their answers do not pair up");
  const shared = sharedMetrics(a.results, b.results);
  if (shared.length === 0)
    throw new EvaluationError("compare: the two evaluations share no metric by the same judge with the same prompt");
  return shared.flatMap(({ metric, kind }) => compareMetric(metric, kind, a.samples, b.samples));
}

/** Metrics that both have; a judge's only where both asked the same judge in the same words, else its manner would count as a difference. */
export function sharedMetrics(
  { metrics, judges: byA }: Results,
  { metrics: others, judges: byB }: Results,
): MetricSummary[] {
  const isSame = (metric: string) =>
    byA?.[metric]?.judge === byB?.[metric]?.judge && byA?.[metric]?.promptSha256 === byB?.[metric]?.promptSha256;
  return metrics.filter(({ metric }) => others.some((other) => other.metric === metric) && isSame(metric));
}

function compareMetric(
  metric: string,
  kind: "rate" | "mean",
  a: readonly Sample[],
  b: readonly Sample[],
): Comparison[] {
  const values = a.map((sample, i) => [sample, b[i]].map(({ judgements }) => judgements[metric]?.value));
  const both = values.filter((pair): pair is [number, number] => pair.every((value) => value !== undefined));
  if (both.length === 0) return [];
  const [ofA, ofB] = [both.map(([value]) => value), both.map(([, value]) => value)];
  const { mean, low, high, n } = pairedBootstrap(ofA, ofB);
  const average = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / n;
  const isTrue = (value: number) => value === 1;
  const test = kind === "rate" ? { mcnemar: mcnemar(ofA.map(isTrue), ofB.map(isTrue)) } : {};
  return [{ metric, a: average(ofA), b: average(ofB), difference: mean, low, high, n, ...test }];
}
