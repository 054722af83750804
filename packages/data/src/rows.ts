import { DataError } from "./errors.ts";
import { decodeUtf8 } from "./text.ts";

/** A record before its shape is known; `line` as in `Example`. */
export interface Row {
  readonly values: Readonly<Record<string, unknown>>;
  readonly line: number;
}

export const formats = ["jsonl", "json", "csv", "tsv", "parquet"] as const;
export type Format = (typeof formats)[number];

/**
 * The records of a file of the given format.
 * @param header column names of a CSV or TSV file whose first line is a record already
 * @throws DataError where the file breaks the format
 */
export async function readRows(
  bytes: Uint8Array,
  file: string,
  format: Format,
  header?: readonly string[],
): Promise<Row[]> {
  const delimiter = { csv: ",", tsv: "\t" }[format as string];
  if (header !== undefined && delimiter === undefined)
    throw new DataError(
      file,
      undefined,
      `column names were given, but only CSV and TSV can lack a header; it is ${format}.`,
    );
  if (format === "parquet") return parquetRows(bytes, file);
  const text = decodeUtf8(bytes, file);
  if (delimiter !== undefined) return csvRows(text, file, delimiter, header);
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

/** A bare list of turns is a conversation, too (Identity Shift's train.json). */
function asRecord(value: unknown, file: string, line: number): Row["values"] {
  if (Array.isArray(value) && typeof value[0] === "object") return { messages: value };
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Row["values"];
  throw new DataError(file, line, "expected a JSON object.");
}

async function csvRows(text: string, file: string, delimiter: string, header?: readonly string[]): Promise<Row[]> {
  const { CsvError, parse } = await import("csv-parse/sync");
  const nEndedBefore = lineCounter(new TextEncoder().encode(text));
  try {
    const records = parse<{ record: Record<string, string>; info: { bytes: number } }>(text, {
      columns: header === undefined ? (found: string[]) => checkedHeader(found, file, delimiter) : [...header],
      delimiter,
      info: true,
      skip_empty_lines: true,
    });
    return records.map(({ record, info }) => ({ values: record, line: nEndedBefore(info.bytes - 1) + 1 }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    // Of an open quote the parser tells where its record begins, else where the record ends.
    const end = Number(error.bytes) - (error.code === "CSV_QUOTE_NOT_CLOSED" ? 0 : 1);
    const line = Number.isNaN(end) ? undefined : nEndedBefore(end) + 1;
    const hint = delimiterHint(text.split("\n", 1)[0], delimiter);
    throw new DataError(file, line, `not valid CSV: ${error.message.replace(/ (on|at) line \d+/, "")}.${hint}`);
  }
}

/** How many lines end within the first so many bytes, asked in rising order: the parser counts each CR LF inside quotes twice. */
function lineCounter(bytes: Uint8Array): (end: number) => number {
  let [at, nEnded] = [0, 0];
  const endsLine = (i: number) => bytes[i] === 0x0a || (bytes[i] === 0x0d && bytes[i + 1] !== 0x0a);
  return (end) => {
    for (; at < end; at++) if (endsLine(at)) nEnded++;
    return nEnded;
  };
}

/** What parts columns in files that are called .csv, and how it is written in messages. */
const delimiters: Readonly<Record<string, string>> = { ",": '","', ";": '";"', "\t": "tabs", "|": '"|"' };

/** Says of a line without the delimiter which other one it has; "" where none. */
function delimiterHint(line: string, delimiter: string): string {
  const other = line.includes(delimiter) ? undefined : Object.keys(delimiters).find((one) => line.includes(one));
  if (other === undefined) return "";
  const [meant, found] = [delimiters[delimiter], delimiters[other]];
  return ` Its first line has ${found} and no ${meant}: are the columns parted by ${found}? Save it with ${meant} between them.`;
}

function checkedHeader(header: string[], file: string, delimiter: string): string[] {
  const hint = header.length === 1 ? delimiterHint(header[0], delimiter) : "";
  if (hint !== "") throw new DataError(file, 1, `has one column.${hint}`);
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
