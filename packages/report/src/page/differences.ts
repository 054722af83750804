import { formatNumber } from "../format.ts";
import type { ComparisonReport } from "./evaluations.ts";

type Difference = Pick<ComparisonReport, "difference" | "low" | "high">;

/** A difference and its interval with their signs; of rates in points of 100. */
export function differenceTexts({ difference, low, high }: Difference, isRate: boolean) {
  const write = (value: number) => signed(isRate ? (100 * value).toFixed(1) : formatNumber(value));
  return { difference: write(difference), low: write(low), high: write(high) };
}

function signed(text: string): string {
  const value = Number(text.replaceAll(",", ""));
  return value > 0 ? `+${text}` : text.replace(/^-0\.0$/, "0.0");
}

/** Below 0.0001 nobody needs the digits. */
export function pText(p: number): string {
  return p < 1e-4 ? "< 0.0001" : formatNumber(p);
}
