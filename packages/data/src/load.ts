import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { gunzipSync } from "node:zlib";
import { choicesOf, rightLetter } from "./choices.ts";
import { type Columns, resolveColumns } from "./columns.ts";
import { DataError } from "./errors.ts";
import type { Example } from "./example.ts";
import { fail, type Place } from "./place.ts";
import { type Format, formats, type Row, readRows } from "./rows.ts";
import { inputOf, messagesOf, optionalText, optionalTextOrNumber } from "./turns.ts";

/** Our names to the file's columns, e.g. `{ instruction: "goal", response: "target" }`. */
export type Mapping = Readonly<Record<string, string>>;

/** How to read a file whose names do not speak for themselves. */
export interface LoadOptions {
  /** Of several mappings, the first whose columns a record has. */
  readonly columns?: Mapping | readonly Mapping[];
  /** Instead of the file name's ending. */
  readonly format?: Format;
  /** Column names of a CSV or TSV file that has no header. */
  readonly header?: readonly string[];
  /** Only the records whose columns have these values, written as text. */
  readonly where?: Mapping;
  /** The request around each prompt, which stands where `%s` is. */
  readonly request?: string;
  /** What stands between an instruction and its input; a blank line unless given. */
  readonly between?: string;
  /** The reference is what follows this mark in its column. */
  readonly referenceAfter?: string;
  /** Refuse records in which no column is known to hold the answer. */
  readonly needsAnswers?: boolean;
  /** Leave out records whose prompt is blank and say how many, instead of refusing the file. */
  readonly skipBlank?: (nBlank: number, file: string) => void;
}

/**
 * All examples of a local file: JSON Lines, a JSON array, CSV, TSV or parquet, in one of the shapes of columns.ts; a file that
 * ends in .gz is unpacked.
 * @throws DataError naming file and line for everything that is wrong with the file, an empty one included
 */
export async function loadExamples(file: string, options: LoadOptions = {}): Promise<Example[]> {
  const format = options.format ?? formatOf(file);
  const rows = await readRows(await readBytes(file), file, format, options.header);
  const chosen = rows.filter((row) => isChosen({ ...row, file }, options.where ?? {}));
  if (chosen.length === 0) throw new DataError(file, undefined, `holds no examples${conditions(options.where)}.`);
  const mappings = [options.columns ?? {}].flat();
  const all = new Set(chosen.flatMap(({ values }) => Object.keys(values)));
  const examples = chosen.flatMap((row) => toExample({ ...row, file }, mappings, all, options) ?? []);
  if (examples.length < chosen.length) options.skipBlank?.(chosen.length - examples.length, file);
  return examples;
}

function formatOf(file: string): Format {
  const ending = extname(file.replace(/\.gz$/i, "")).slice(1).toLowerCase();
  const format = ending === "ndjson" ? "jsonl" : formats.find((name) => name === ending);
  if (format !== undefined) return format;
  throw new DataError(
    file,
    undefined,
    `unknown kind of data file. Known endings: .${formats.join(", .")}; or with .gz.`,
  );
}

async function readBytes(file: string): Promise<Uint8Array> {
  const bytes = await readFile(file).catch(({ code, message }: NodeJS.ErrnoException) => {
    throw new DataError(file, undefined, code === "ENOENT" ? "there is no such file" : `cannot be read: ${message}`);
  });
  if (!/\.gz$/i.test(file)) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (error) {
    throw new DataError(file, undefined, `not readable as gzip: ${(error as Error).message}. Copy it again.`);
  }
}

function isChosen(place: Place, where: Mapping): boolean {
  return Object.entries(where).every(([column, wanted]) => {
    if (Object.hasOwn(place.values, column)) return String(place.values[column]) === wanted;
    throw fail(place, `no column "${column}" to choose by. Columns found: ${Object.keys(place.values).join(", ")}.`);
  });
}

function conditions(where: Mapping = {}): string {
  const words = Object.entries(where).map(([column, value]) => `${column} is ${value}`);
  return words.length === 0 ? "" : ` where ${words.join(" and ")}`;
}

function toExample(
  place: Place,
  mappings: readonly Mapping[],
  all: ReadonlySet<string>,
  options: LoadOptions,
): Example | undefined {
  const { values, file, line } = place;
  const fits = (mapping: Mapping) => Object.values(mapping).every((column) => Object.hasOwn(values, column));
  const mapping = mappings.find(fits) ?? mappings[0] ?? {};
  const columns = resolveColumns(Object.keys(values), mapping, all, options.needsAnswers === true, place);
  if (options.skipBlank && isBlank(place, columns)) return undefined;
  const messages = messagesOf(place, columns, options.between);
  const wrapped = options.request === undefined ? messages : request(messages, options.request);
  const reference = referenceOf(place, columns, options.referenceAfter);
  const input = inputOf(place, columns) === undefined ? {} : { hasInput: true as const };
  return { messages: wrapped, reference, id: idText(values, columns), ...input, source: file, line };
}

function isBlank(place: Place, { prompt }: Columns): boolean {
  return prompt !== undefined && (optionalText(place, prompt) ?? "").trim() === "";
}

function request(messages: Example["messages"], form: string): Example["messages"] {
  return messages.map((message) =>
    message.role === "user" ? { ...message, content: form.replace("%s", () => message.content) } : message,
  );
}

function referenceOf(place: Place, { turns, reference, choices }: Columns, mark?: string): string | undefined {
  if (reference === undefined) return undefined;
  if (choices !== undefined) return rightLetter(place, reference, choicesOf(place, choices).length);
  // MT-Bench has a list of reference answers, one a turn.
  const value = place.values[reference];
  const isList = Array.isArray(value) && value.every((part) => typeof part === "string");
  if (turns === "turns" && isList) return value.join("\n\n");
  const text = optionalTextOrNumber(place, reference);
  if (mark === undefined) return text;
  const at = text?.lastIndexOf(mark) ?? -1;
  if (text !== undefined && at >= 0) return text.slice(at + mark.length).trim();
  throw fail(place, `"${reference}" has no "${mark}" before its answer.`);
}

/** Ids are text, numbers, or 64-bit integers in parquet; anything else is no id. */
function idText(values: Row["values"], { id }: Columns): string | undefined {
  const value = id === undefined ? undefined : values[id];
  return ["string", "number", "bigint"].includes(typeof value) ? String(value) : undefined;
}
