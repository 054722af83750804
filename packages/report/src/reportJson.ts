import { ReportError } from "./errors.ts";
import type { RepairReport } from "./repairReport.ts";

/** Version of the layout of safedelta.json; it grows when a field changes its meaning or goes. */
export const reportSchemaVersion = 1;

/**
 * safedelta.json: `schemaVersion` first, then the report with keys in code-unit order at every level, two blanks of indentation,
 * a final newline; the same report gives the same bytes however it was put together. Infinity (a strength may be) is written as
 * the string "Infinity", which `Number()` reads back. Throws ReportError at NaN, naming the field, where JSON would write null.
 */
export function reportJson(report: RepairReport): string {
  const fields = canonical(report, "report") as object;
  return `${JSON.stringify({ schemaVersion: reportSchemaVersion, ...fields }, null, 2)}\n`;
}

function canonical(value: unknown, path: string): unknown {
  if (typeof value === "number") return jsonNumber(value, path);
  if (Array.isArray(value)) return value.map((item, i) => canonical(item, `${path}[${i}]`));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, canonical(item, `${path}.${key}`)]));
}

function jsonNumber(value: number, path: string): number | string {
  if (Number.isNaN(value))
    throw new ReportError(`reportJson: ${path} is not a number; the repair's numbers are broken`);
  return Number.isFinite(value) ? value : String(value);
}
