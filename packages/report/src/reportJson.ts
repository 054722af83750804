import { ReportError } from "./errors.ts";
import { type RepairReport, ratio, type Totals, totalsOf } from "./repairReport.ts";

/** Version of the layout of safedelta.json; it grows when a field changes its meaning or goes. */
export const reportSchemaVersion = 2;

/**
 * safedelta.json: `schemaVersion` first, then the report with keys in code-unit order at every level, two blanks of indentation,
 * a final newline; the same report gives the same bytes however it was put together. Infinity (a strength may be) is written as
 * the string "Infinity", which `Number()` reads back. `seal` is the SHA-256 of the document without it. Throws ReportError at NaN, naming the field, where JSON would write null.
 */
export function reportJson(report: RepairReport): string {
  const fields = canonical(report, "report") as object;
  const document = { schemaVersion: reportSchemaVersion, ...fields };
  return textOf({ ...document, seal: sealOf(document) });
}

/**
 * What contradicts itself in a parsed safedelta.json: its seal, its totals, the shares of its losses. Whether the numbers are
 * those of the weights is for `verify` to measure.
 * @returns one line a contradiction; of another schema version that alone
 */
export function reportProblems({ seal, ...document }: SavedReport): string[] {
  const { schemaVersion, layers, totals } = document;
  if (schemaVersion !== reportSchemaVersion)
    return [
      `safedelta.json has the schema version ${schemaVersion}; this safedelta checks version ${reportSchemaVersion}.`,
    ];
  const linears = layers.flatMap((layer) => layer.linears);
  const shares = linears.filter((l) => !isNear(l.safetyLossShare, ratio(l.safetyLoss, l.fullSafetyLoss)));
  const found = Object.entries(totalsOf(linears));
  const wrong = found.filter(([key, value]) => !isNear(totals[key as keyof Totals], value));
  return [
    ...(seal === sealOf(document) ? [] : ["safedelta.json was changed after it was written."]),
    ...shares.map(({ name }) => `${name}: safetyLossShare is not safetyLoss / fullSafetyLoss.`),
    ...wrong.map(
      ([key, value]) => `totals: ${key} is ${value}, but safedelta.json says ${totals[key as keyof Totals]}.`,
    ),
  ];
}

/** Whether a parsed safedelta.json of this schema version is another than was written: then nothing in it can be gone by. */
export function wasAltered(saved: unknown): boolean {
  if (typeof saved !== "object" || saved === null) return false;
  const { seal, ...document } = saved as Partial<SavedReport>;
  return document.schemaVersion === reportSchemaVersion && seal !== sealOf(document);
}

/** safedelta.json as parsed. */
export type SavedReport = RepairReport & { readonly schemaVersion: number; readonly seal: string };

/** Sums of the same numbers; nothing but their order could differ. */
function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b));
}

function sealOf(document: object): string {
  return new Bun.CryptoHasher("sha256").update(textOf(document)).digest("hex");
}

function textOf(document: object): string {
  return `${JSON.stringify(document, null, 2)}\n`;
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
