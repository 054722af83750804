import { columnNames } from "./columns.ts";
import { DataError } from "./errors.ts";
import type { Mapping } from "./load.ts";
import { suggest } from "./suggest.ts";
import { systemPrompts } from "./systemPrompts.ts";

/** How a source is read, as far as its spelling says so. */
export interface Reading {
  /** Our names to the file's columns. */
  readonly columns?: Mapping;
  /** Column names of a CSV file that has no header. */
  readonly header?: readonly string[];
  /** Only the records with these values. */
  readonly where?: Mapping;
  /** The system prompt that its requests come under. */
  readonly template?: keyof typeof systemPrompts;
}

/**
 * What stands behind "#" in a spelling: `prompt=goal,answer=target`, `header=id,header=prompt`, `where.label=safe`, `template=aoa`, parted by
 * commas; %2C and %2F are a comma and a slash within a word.
 * @throws DataError naming the pair that is none, is not known, or is given twice
 */
export function parseReading(spelling: string, words: string): Reading {
  const fail = (problem: string) => new DataError(spelling, undefined, problem);
  const pairs = words.split(",").map((word) => pairOf(word, fail));
  const header = pairs.filter(([name]) => name === "header").map(([, value]) => value);
  const rest = pairs.filter(([name]) => name !== "header");
  const twice = rest.find(([name], i) => rest.findIndex(([other]) => other === name) !== i);
  if (twice) throw fail(`"${twice[0]}" is given twice behind "#".`);
  const where = rest.filter(([name]) => name.startsWith(whereMark)).map(([name, value]) => [name.slice(6), value]);
  const columns = rest.filter(([name]) => columnNames.includes(name));
  const template = rest.find(([name]) => name === "template")?.[1];
  return {
    ...(columns.length > 0 && { columns: Object.fromEntries(columns) }),
    ...(header.length > 0 && { header }),
    ...(where.length > 0 && { where: Object.fromEntries(where) }),
    ...(template !== undefined && { template: templateOf(template, fail) }),
  };
}

const whereMark = "where.";

type Fail = (problem: string) => DataError;

function pairOf(word: string, fail: Fail): readonly [name: string, value: string] {
  const [, name = "", value = ""] = /^([^=]+)=(.+)$/.exec(word) ?? [];
  if (name === "") throw fail(`"${word}" behind "#" must be NAME=VALUE, as prompt=goal.`);
  const known = [...columnNames, "header", "template"];
  if (!known.includes(name) && !(name.startsWith(whereMark) && name !== whereMark))
    throw fail(
      `"${name}" behind "#" is not known.${suggest(name, known)} Known: ${[...known, `${whereMark}COLUMN`].join(", ")}.`,
    );
  return [decoded(name, fail), decoded(value, fail)];
}

function decoded(word: string, fail: Fail): string {
  try {
    return decodeURIComponent(word);
  } catch {
    throw fail(`"${word}" behind "#": write %25 for a per cent sign.`);
  }
}

function templateOf(name: string, fail: Fail): keyof typeof systemPrompts {
  const known = Object.keys(systemPrompts) as (keyof typeof systemPrompts)[];
  const found = known.find((one) => one === name);
  if (found !== undefined) return found;
  throw fail(`there is no template "${name}".${suggest(name, known)} There are: ${known.join(", ")}.`);
}
