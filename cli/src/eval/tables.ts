import type { Comparison, JudgeAgreement, MetricSummary } from "@safedelta/evaluation";
import { formatNumber, table } from "@safedelta/report";

const number = (value: number | undefined) => (value === undefined ? "" : formatNumber(value));
const interval = (low: number | undefined, high: number | undefined) =>
  low === undefined ? "" : `${number(low)} … ${number(high)}`;

/** The results for a person. */
export function resultsTable(task: string, metrics: readonly MetricSummary[]): string {
  const rows = metrics.flatMap(
    ({ metric, value, low, high, n, nUnparsed, smallestDifference, classes, shareOfFives }) => [
      [task, metric, number(value), interval(low, high), String(n), String(nUnparsed), number(smallestDifference)],
      ...Object.entries(classes ?? (shareOfFives ? { fives: shareOfFives } : {})).map(([name, share]) => [
        ...["", `  ${name}`, number(share.rate), interval(share.low, share.high), String(share.n), "", ""],
      ]),
    ],
  );
  return table(["task", "metric", "value", "95 %", "n", "unread", "cannot see below"], rows);
}

/** Two evaluations side by side. */
export function comparisonTable(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ metric, a, b, difference, low, high, n, mcnemar }) => [
    ...[metric, number(a), number(b), number(difference), interval(low, high), number(mcnemar?.p), String(n)],
  ]);
  return table(["metric", "against", "this", "difference", "95 %", "McNemar p", "n"], rows);
}

/** How far judges agree. */
export function agreementTable(agreements: readonly JudgeAgreement[]): string {
  const rows = agreements.map(({ a, b, subject, observed, kappa, n }) => [
    ...[a, b, subject, number(observed), kappa === undefined ? "not defined" : number(kappa), String(n)],
  ]);
  return table(["judge", "judge", "of", "agree", "Cohen's kappa", "n"], rows);
}
