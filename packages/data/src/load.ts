import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { type Columns, resolveColumns } from "./columns.ts";
import { DataError } from "./errors.ts";
import type { Example } from "./example.ts";
import { type Format, formats, type Row, readRows } from "./rows.ts";
import { messagesOf, optionalText } from "./turns.ts";

/** How to read a file whose names do not speak for themselves. */
export interface LoadOptions {
  /** Our name to the file's column, e.g. `{ instruction: "goal", response: "target" }`. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Instead of the file name's ending. */
  readonly format?: Format;
}

/**
 * All examples of a local file: JSON Lines, a JSON array, CSV, TSV or parquet, in one of the shapes of columns.ts.
 * @throws DataError naming file and line for everything that is wrong with the file, an empty one included
 */
export async function loadExamples(file: string, options: LoadOptions = {}): Promise<Example[]> {
  const format = options.format ?? formatOf(file);
  const rows = await readRows(await readBytes(file), file, format);
  if (rows.length === 0) throw new DataError(file, undefined, "holds no examples.");
  return rows.map((row) => toExample(row, file, options.columns ?? {}));
}

function formatOf(file: string): Format {
  const ending = extname(file).slice(1).toLowerCase();
  const format = ending === "ndjson" ? "jsonl" : formats.find((name) => name === ending);
  if (format !== undefined) return format;
  throw new DataError(file, undefined, `unknown kind of data file. Known endings: .${formats.join(", .")}.`);
}

async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "there is no such file" : `cannot be read: ${message}`;
    throw new DataError(file, undefined, reason);
  }
}

function toExample({ values, line }: Row, file: string, mapping: Readonly<Record<string, string>>): Example {
  const columns = resolveColumns(Object.keys(values), mapping, file, line);
  const at = { values, file, line };
  const reference = columns.reference === undefined ? undefined : optionalText(at, columns.reference);
  return { messages: messagesOf(at, columns), reference, id: idText(values, columns), source: file, line };
}

/** Ids are text, numbers, or 64-bit integers in parquet; anything else is no id. */
function idText(values: Row["values"], { id }: Columns): string | undefined {
  const value = id === undefined ? undefined : values[id];
  return ["string", "number", "bigint"].includes(typeof value) ? String(value) : undefined;
}
