import { pairedBootstrap } from "./bootstrap.ts";
import { EvaluationError } from "./errors.ts";
import { type McNemar, mcnemar } from "./mcnemar.ts";
import { mean } from "./mean.ts";
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
  if (shared.length === 0) {
    const unlike = unlikeMetrics(a.results, b.results).map(({ metric, why }) => `; ${metric}: ${why}`);
    throw new EvaluationError(`compare: the two evaluations share no metric of one basis${unlike.join("")}`);
  }
  return shared.flatMap(({ metric, kind }) => compareMetric(metric, kind, a.samples, b.samples));
}

/** Metrics that both have, on the same basis: else its own difference would count as one of the models. */
export function sharedMetrics(a: Results, b: Results): MetricSummary[] {
  return inBoth(a, b).filter(({ metric }) => differences(a, b, metric).length === 0);
}

/** A metric that cannot be compared, and what differs. */
export interface Unlike {
  readonly metric: string;
  readonly why: string;
}

/** Metrics that both have whose values rest on other things: judge, words, settings, other models, data. */
export function unlikeMetrics(a: Results, b: Results): Unlike[] {
  const found = inBoth(a, b).map(({ metric }) => ({ metric, why: differences(a, b, metric).join(", ") }));
  return found.filter(({ why }) => why !== "");
}

/** Metrics that one evaluation has and the other lacks. */
export function unsharedMetrics({ metrics }: Results, { metrics: others }: Results): string[] {
  return metrics.map(({ metric }) => metric).filter((name) => !others.some(({ metric }) => metric === name));
}

function inBoth({ metrics }: Results, { metrics: others }: Results): MetricSummary[] {
  return metrics.filter(({ metric }) => others.some((other) => other.metric === metric));
}

function differences(a: Results, b: Results, metric: string): string[] {
  const [ofA, ofB] = [basisOf(a, metric), basisOf(b, metric)];
  const names = [...new Set([...Object.keys(ofA), ...Object.keys(ofB)])].filter((name) => ofA[name] !== ofB[name]);
  return names.map((name) => `${name} ${ofA[name] ?? "not told"} and ${ofB[name] ?? "not told"}`);
}

/** What a metric's values rest on besides the model and its prompts. */
function basisOf({ judges, settings }: Results, metric: string): Readonly<Record<string, string | number | undefined>> {
  const { judge, subject, promptSha256 } = judges?.[metric] ?? {};
  const asked = { judge, "judge's prompt": promptSha256, "what it judges": subject };
  return { ...(judge === undefined ? {} : asked), ...settings?.[metric] };
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
  const { mean: difference, low, high, n } = pairedBootstrap(ofA, ofB);
  const isTrue = (value: number) => value === 1;
  const test = kind === "rate" ? { mcnemar: mcnemar(ofA.map(isTrue), ofB.map(isTrue)) } : {};
  return [{ metric, a: mean(ofA), b: mean(ofB), difference, low, high, n, ...test }];
}
