import { formatNumber, formatPercent } from "../format.ts";
import type { ComparisonReport, MetricReport } from "./evaluations.ts";

/** A metric's value, its interval and how many answers it is of, as people read them. */
export function metricTexts({ kind, value, low, high, n, nUnparsed }: MetricReport) {
  const write = kind === "rate" ? (share: number) => formatPercent(share) : (mean: number) => formatNumber(mean);
  return {
    value: value === undefined ? "nothing could be judged" : write(value),
    interval: low === undefined || high === undefined ? "" : `${write(low)} … ${write(high)}`,
    n: nUnparsed > 0 ? `${n}, ${nUnparsed} unread` : String(n),
  };
}

/** Heads of the cells of a difference, behind its task and metric. */
export const differenceColumns = ["models", "difference", "95 %", "McNemar p", "n"] as const;

/** Those cells. A difference of rates is in points of 100. */
export function differenceCells({ from, to, difference, low, high, p, n }: ComparisonReport): string[] {
  const isRate = p !== undefined;
  const write = (value: number) => signed(isRate ? (100 * value).toFixed(1) : formatNumber(value));
  return [`${from} → ${to}`, write(difference), `${write(low)} … ${write(high)}`, isRate ? pText(p) : "", String(n)];
}

function signed(text: string): string {
  const value = Number(text.replaceAll(",", ""));
  return value > 0 ? `+${text}` : text.replace(/^-0\.0$/, "0.0");
}

/** Below 0.0001 nobody needs the digits. */
export function pText(p: number): string {
  return p < 1e-4 ? "< 0.0001" : formatNumber(p);
}
