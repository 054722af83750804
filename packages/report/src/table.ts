import { ReportError } from "./errors.ts";

/** Which side of its column a cell keeps to. */
export type Align = "left" | "right";

/** How a table looks. */
export interface TableOptions {
  /** By column; the first column is left, the others right, unless said otherwise. */
  readonly align?: readonly Align[];
  /** Draw the rule under the header with ASCII. */
  readonly ascii?: boolean;
}

/**
 * A plain text table: header, rule, rows; columns two blanks apart, no blanks at line ends, no final newline.
 *
 * Widths are those of a terminal (wide characters count two, combining ones none, colour codes none). Line breaks, tabs and runs
 * of blanks inside a cell become one blank. Throws ReportError when a row or `align` has another number of cells than `columns`.
 */
export function table(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  options: TableOptions = {},
): string {
  const cells = [columns, ...rows].map((row, i) => checkedRow(row, columns.length, i).map(oneLine));
  const align = alignOf(columns.length, options.align);
  const widths = columns.map((_, col) => Math.max(1, ...cells.map((row) => width(row[col]))));
  const lines = cells.map((row) => joined(row.map((cell, col) => pad(cell, widths[col], align[col]))));
  const rule = joined(widths.map((n) => (options.ascii ? "-" : "─").repeat(n)));
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

function checkedRow(row: readonly string[], nColumns: number, index: number): readonly string[] {
  if (row.length === nColumns) return row;
  throw new ReportError(`table: row ${index} has ${row.length} cells, the header has ${nColumns}`);
}

function alignOf(nColumns: number, align?: readonly Align[]): readonly Align[] {
  if (align === undefined) return Array.from({ length: nColumns }, (_, col) => (col === 0 ? "left" : "right"));
  if (align.length === nColumns) return align;
  throw new ReportError(`table: ${align.length} alignments for ${nColumns} columns`);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function width(text: string): number {
  return Bun.stringWidth(text);
}

function pad(cell: string, columnWidth: number, align: Align): string {
  const blanks = " ".repeat(columnWidth - width(cell));
  return align === "left" ? cell + blanks : blanks + cell;
}

function joined(cells: readonly string[]): string {
  return cells.join("  ").trimEnd();
}
