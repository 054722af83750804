import { DataError } from "./errors.ts";
import type { Place } from "./place.ts";
import { suggest } from "./suggest.ts";

/** The roles a column can play, and the names by which each is known. */
const names = {
  turns: ["messages", "conversations", "turns"],
  prompt: ["instruction", "prompt", "question"],
  input: ["input", "context"],
  answer: ["output", "response", "completion", "answer"],
  system: ["system", "system_prompt"],
  choices: ["choices"],
  subject: ["subject"],
  reference: ["reference"],
  id: ["id"],
} as const;

type Role = keyof typeof names;

/** Where each role's value stands in a record. */
export type Columns = { readonly [role in Role]?: string };

/** Recognised shapes, first match wins. Sources: OpenAI/TRL messages, ShareGPT, MT-Bench's turns, Alpaca and Dolly (its context is the input), completion sets, question sets (OpenOrca: with a system_prompt). */
const shapes: readonly (Columns & { readonly answers?: readonly string[] })[] = [
  { turns: "messages" },
  { turns: "conversations" },
  { turns: "turns" },
  { prompt: "instruction", input: "input", answers: ["output", "response"] },
  { prompt: "prompt", answers: ["completion", "response", "answer"] },
  { prompt: "question", answers: ["answer"] },
];

/** Requests without an answer, looked for where none of the above fits. */
const bareShapes: readonly Columns[] = [
  { prompt: "instruction", input: "input" },
  { prompt: "prompt" },
  { prompt: "question" },
];

/**
 * Which column plays which role. A mapping says it (`{ prompt: "goal" }`: the prompt is in column "goal"; keys are the names
 * above); otherwise the shape is recognised. A mapped prompt without a mapped answer means prompts alone, and so does a file in which no
 * column could be meant for the answer.
 * @param all the columns of every record of the file, not of this one alone
 * @param needsAnswer whether prompts alone are of no use
 * @throws DataError listing the columns found when nothing fits, the mapping names what is not there, or an answer is needed and no column known to hold it
 */
export function resolveColumns(
  found: readonly string[],
  mapping: Readonly<Record<string, string>>,
  all: ReadonlySet<string>,
  needsAnswer: boolean,
  { file, line }: Pick<Place, "file" | "line">,
): Columns {
  const fail = (problem: string) =>
    new DataError(file, line, `${problem} Columns found: ${found.map(shorten).join(", ") || "none"}.`);
  const mapped = readMapping(mapping, found, fail);
  const shape = mapped.turns === undefined && mapped.prompt === undefined ? recognise(found, all) : {};
  const columns = { ...optional(found), ...shape, ...mapped };
  if (columns.turns !== undefined && (mapped.prompt ?? mapped.input ?? mapped.answer) !== undefined) {
    throw fail(`the mapping names single texts, but "${columns.turns}" holds whole conversations.`);
  }
  if (needsAnswer && columns.prompt !== undefined && columns.turns === undefined && columns.answer === undefined)
    throw fail(`prompts without answers, which are needed here.${nearMiss(found)} ${howToMap}`);
  if (columns.turns !== undefined || columns.prompt !== undefined) return columns;
  throw fail(
    "no known shape. Known: messages; conversations; turns; instruction [+ input] + output|response; " +
      `prompt + completion|response|answer; question + answer; instruction, prompt or question alone.${nearMiss(found)} ${howToMap}`,
  );
}

const howToMap = "Say which is which (FILE#prompt=COLUMN,answer=COLUMN), or rename the file's columns.";

function readMapping(
  mapping: Readonly<Record<string, string>>,
  found: readonly string[],
  fail: (problem: string) => DataError,
): Columns {
  const columns: { [role in Role]?: string } = {};
  for (const [name, column] of Object.entries(mapping)) {
    const role = roleOf(name);
    if (role === undefined) throw fail(`the column mapping knows no "${name}".${suggest(name, columnNames)}`);
    if (columns[role] !== undefined) throw fail(`the column mapping names the ${role} twice.`);
    if (!found.includes(column)) throw fail(`no column "${column}" (mapped to ${name}).${suggest(column, found)}`);
    columns[role] = column;
  }
  return columns;
}

function recognise(found: readonly string[], all: ReadonlySet<string>): Columns {
  for (const { answers, ...shape } of shapes) {
    const answer = answers?.find((name) => found.includes(name));
    const complete = answers === undefined || answer !== undefined;
    const start = shape.turns ?? shape.prompt;
    if (start === undefined || !complete || !found.includes(start)) continue;
    return { ...shape, input: inputOf(shape, found), answer };
  }
  const bare = bareShapes.find(({ prompt = "" }) => found.includes(prompt));
  if (bare === undefined || [...all].some(couldAnswer)) return {};
  return { ...bare, input: inputOf(bare, found) };
}

/** An answer's column, or a misspelt one. */
function couldAnswer(column: string): boolean {
  const role = roleOf(column);
  return role === "answer" || (role === undefined && suggest(column, names.answer) !== "");
}

function inputOf({ input }: Columns, found: readonly string[]): string | undefined {
  return input && names.input.find((name) => found.includes(name));
}

/** Columns that are read whatever the shape. */
function optional(found: readonly string[]): Columns {
  const present = (["system", "reference", "id"] as const).map((role) => [
    role,
    names[role].find((name) => found.includes(name)),
  ]);
  return Object.fromEntries(present.filter(([, column]) => column !== undefined));
}

/** A CSV file without a header has whole texts for column names. */
function shorten(name: string): string {
  return name.length > 40 ? `${name.slice(0, 40)}…` : name;
}

/** Every name by which a mapping may call a column. */
export const columnNames: readonly string[] = Object.values(names).flat();

function roleOf(name: string): Role | undefined {
  return (Object.keys(names) as Role[]).find((role) => (names[role] as readonly string[]).includes(name));
}

function nearMiss(found: readonly string[]): string {
  return found
    .map((column) => (roleOf(column) === undefined ? suggest(column, columnNames, `"${column}": `) : ""))
    .join("");
}
