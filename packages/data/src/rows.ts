import { DataError } from "./errors.ts";
import { decodeUtf8 } from "./text.ts";

/** A record before its shape is known; `line` as in `Example`. */
export interface Row {
  readonly values: Readonly<Record<string, unknown>>;
  readonly line: number;
}

export const formats = ["jsonl", "json", "csv", "tsv", "parquet"] as const;
export type Format = (typeof formats)[number];

/** The records of a file of the given format. @throws DataError where the file breaks the format */
export async function readRows(bytes: Uint8Array, file: string, format: Format): Promise<Row[]> {
  if (format === "parquet") return parquetRows(bytes, file);
  const text = decodeUtf8(bytes, file);
  if (format === "csv") return csvRows(text, file, ",");
  if (format === "tsv") return csvRows(text, file, "\t");
  const lines = format === "jsonl" || (isJsonLines(text) && !isJson(text));
  return lines ? jsonLinesRows(text, file) : jsonArrayRows(text, file);
}

/** On the Hub, JSON Lines are often named .json: such a file starts with an object instead of an array. */
function isJsonLines(text: string): boolean {
  return text.trimStart().startsWith("{");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function jsonLinesRows(text: string, file: string): Row[] {
  return text.split("\n").flatMap((content, i) => {
    if (content.trim() === "") return [];
    const line = i + 1;
    return [{ values: asRecord(parseJson(content, file, line), file, line), line }];
  });
}

function jsonArrayRows(text: string, file: string): Row[] {
  if (text.trim() === "") return [];
  const items = parseJson(text, file, undefined);
  // One object alone is one record, over however many lines it is written.
  const records = typeof items === "object" && !Array.isArray(items) ? [items] : items;
  if (!Array.isArray(records))
    throw new DataError(file, undefined, "expected a JSON array of objects, or one object a line.");
  return records.map((item, i) => ({ values: asRecord(item, file, i + 1), line: i + 1 }));
}

function parseJson(text: string, file: string, line: number | undefined): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DataError(file, line, `not valid JSON: ${(error as Error).message}`);
  }
}

function asRecord(value: unknown, file: string, line: number): Row["values"] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Row["values"];
  throw new DataError(file, line, "expected a JSON object.");
}

async function csvRows(text: string, file: string, delimiter: string): Promise<Row[]> {
  const { CsvError, parse } = await import("csv-parse/sync");
  try {
    const records = parse<{ record: Record<string, string>; info: { lines: number } }>(text, {
      columns: (header: string[]) => uniqueColumns(header, file),
      delimiter,
      info: true,
      skip_empty_lines: true,
    });
    return records.map(({ record, info }) => ({ values: record, line: info.lines }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new DataError(
      file,
      typeof error.lines === "number" ? error.lines : undefined,
      `not valid CSV: ${error.message}`,
    );
  }
}

function uniqueColumns(header: string[], file: string): string[] {
  const twice = header.find((name, i) => header.indexOf(name) !== i);
  if (twice === undefined) return header;
  throw new DataError(file, 1, `the column "${twice}" occurs twice. Rename one of them.`);
}

async function parquetRows(bytes: Uint8Array, file: string): Promise<Row[]> {
  const [{ parquetReadObjects }, { compressors }] = await Promise.all([
    import("hyparquet"),
    import("hyparquet-compressors"),
  ]);
  try {
    const records = await parquetReadObjects({ file: new Uint8Array(bytes).buffer, compressors });
    return records.map((values, i) => ({ values, line: i + 1 }));
  } catch (error) {
    throw new DataError(
      file,
      undefined,
      `not readable as parquet: ${(error as Error).message}. Copy it again from its source.`,
    );
  }
}
