import { suggest } from "@safedelta/data";
import type { z } from "zod";
import { UsageError } from "./exitCode.ts";
import { plainWords } from "./plainWords.ts";
import { readNamed } from "./readNamed.ts";

/** Options from one source, and how that source spells one of them. */
interface Source {
  readonly rank: number;
  readonly values: Readonly<Record<string, unknown>>;
  spell(name: string): string;
}

/** How strong a source of options is. */
export const ranks = { recipe: 0, environment: 1, flag: 2 } as const;

/** An option that was given: how its source spells it, and how strong that source is. */
export interface GivenOption {
  readonly where: string;
  readonly rank: number;
}

/** What the sources said; options that none of them gave have their defaults and are not in `given`. */
export interface MergedOptions {
  readonly options: unknown;
  readonly given: ReadonlyMap<string, GivenOption>;
}

/**
 * The options of a command from all their sources: flag, then environment (SAFEDELTA_MAX_MEMORY for --max-memory), then
 * recipe, then default. Of a group (the budgets) only what the strongest source gives counts.
 * @throws UsageError for an unknown key or a value of the wrong kind, naming where it came from
 */
export async function mergeOptions(schema: z.ZodObject, flags: Record<string, unknown>): Promise<MergedOptions> {
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  const path = given.recipe ?? process.env.SAFEDELTA_RECIPE;
  const recipe = typeof path === "string" ? await readRecipe(path, schema) : {};
  const sources: Source[] = [
    { rank: ranks.recipe, values: recipe, spell: (name) => `${path}: ${kebab(name)}` },
    { rank: ranks.environment, values: fromEnvironment(schema), spell: variable },
    { rank: ranks.flag, values: given, spell: (name) => `--${kebab(name)}` },
  ];
  const merged = new Map<string, GivenOption & { value: unknown }>();
  for (const { rank, values, spell } of sources) {
    for (const name of Object.keys(values)) for (const other of groupOf(schema, name)) merged.delete(other);
    for (const [name, value] of Object.entries(values)) merged.set(name, { value, where: spell(name), rank });
  }
  const values = Object.fromEntries([...merged].map(([name, { value }]) => [name, value]));
  const result = schema.safeParse(values, { error: plainWords });
  if (result.success) return { options: result.data, given: merged };
  const lines = result.error.issues.map(
    ({ path: [name], message }) => `${merged.get(String(name))?.where}: ${message}`,
  );
  throw new UsageError(lines.join("\n"));
}

/**
 * An option that this command was given by flag or recipe. What the environment gives is meant for every command: one that has no use for it
 * lets it stand.
 */
export function ownOption(given: ReadonlyMap<string, GivenOption>, name: string): GivenOption | undefined {
  const found = given.get(name);
  return found?.rank === ranks.environment ? undefined : found;
}

/** All options of the group that an option belongs to; none when it belongs to none. */
function groupOf(schema: z.ZodObject, name: string): string[] {
  const group = (type: unknown) => (type as z.ZodType | undefined)?.meta()?.group;
  const wanted = group(schema.shape[name]);
  return wanted === undefined ? [] : Object.keys(schema.shape).filter((key) => group(schema.shape[key]) === wanted);
}

function variable(name: string): string {
  return `SAFEDELTA_${kebab(name).replaceAll("-", "_").toUpperCase()}`;
}

function fromEnvironment(schema: z.ZodObject): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [name, type] of Object.entries(schema.shape)) {
    const text = process.env[variable(name)];
    if (!text || name === "recipe") continue;
    values[name] = isFlag(type) ? parseFlag(variable(name), text) : text;
  }
  return values;
}

function isFlag(type: unknown): boolean {
  return typeof (type as z.ZodType).safeParse(undefined).data === "boolean";
}

/** Variables that are no option of a command: of the engines, and of the steps of an experiment. */
const otherVariables = ["NATIVE_LIB", "CUDA_LIB", "CUDA_LIB_DIR", "CUDA_DEVICE", "PARENT"].map(
  (name) => `SAFEDELTA_${name}`,
);
/** And of the tests, which nobody is told of. */
const testVariables = /^SAFEDELTA_(SHARED|PYTHON|LM_EVAL|SMOLLM2_GGUF|STANDIN_\w+)$/;

/** A warning for each variable of the environment that looks like ours and is none: a misspelt one would have no effect. */
export function unknownVariables(schemas: readonly z.ZodObject[], env: NodeJS.ProcessEnv = process.env): string[] {
  const known = [...new Set(schemas.flatMap(({ shape }) => Object.keys(shape).map(variable))), ...otherVariables];
  const strange = Object.keys(env).filter(
    (name) => name.startsWith("SAFEDELTA_") && !testVariables.test(name) && !known.includes(name),
  );
  return strange.map((name) => `${name} in the environment has no effect.${suggest(name, known)}`);
}

/** The environment without the variables that give options to commands. */
export function withoutOptions(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const entries = Object.entries(env);
  return Object.fromEntries(
    entries.filter(
      ([name]) => !name.startsWith("SAFEDELTA_") || otherVariables.includes(name) || testVariables.test(name),
    ),
  );
}

const flagWords: Readonly<Record<string, boolean>> = {
  ...{ "1": true, true: true, yes: true, on: true },
  ...{ "0": false, false: false, no: false, off: false },
};

/** @throws UsageError for a word that is neither yes nor no */
function parseFlag(name: string, text: string): boolean {
  const word = text.trim().toLowerCase();
  if (Object.hasOwn(flagWords, word)) return flagWords[word];
  throw new UsageError(`${name}: "${text}" is neither yes nor no. Write one of ${Object.keys(flagWords).join(", ")}.`);
}

async function readRecipe(path: string, schema: z.ZodObject): Promise<Record<string, unknown>> {
  const { parse } = await import("yaml");
  const text = await readNamed(path, `--recipe ${path}`);
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new UsageError(`${path}: ${firstLine((error as Error).message)}`);
  }
  const table = recipeOf(value);
  if (table === null || typeof table !== "object" || Array.isArray(table)) {
    throw new UsageError(`${path}: a recipe is a table of keys and values.`);
  }
  return Object.fromEntries(Object.entries(table).map(([key, entry]) => recipeEntry(path, key, entry, schema)));
}

/** What a run wrote of itself (training.json) holds its recipe beside other things. */
function recipeOf(value: unknown): unknown {
  const found = value as { schemaVersion?: unknown; recipe?: unknown } | null;
  return found?.schemaVersion !== undefined && found.recipe !== undefined ? found.recipe : value;
}

/** @throws UsageError for an unknown key, a recipe in a recipe, or a flag that is neither yes nor no (which YAML 1.2 takes for text) */
function recipeEntry(path: string, key: string, entry: unknown, schema: z.ZodObject): [string, unknown] {
  const name = knownKey(key, path, schema);
  if (name === "recipe") throw new UsageError(`${path}: a recipe cannot name another recipe.`);
  const isWord = isFlag(schema.shape[name]) && typeof entry === "string";
  return [name, isWord ? parseFlag(`${path}: ${key}`, entry) : entry];
}

/** The parser draws the place below its message, which already names line and column. */
function firstLine(message: string): string {
  return message.split("\n")[0].replace(/:$/, ".");
}

function knownKey(key: string, path: string, schema: z.ZodObject): string {
  const name = camel(key);
  const names = Object.keys(schema.shape);
  if (names.includes(name)) return name;
  throw new UsageError(`${path}: unknown key "${key}".${suggest(kebab(name), names.map(kebab))}`);
}

/** kebab-case to camelCase. */
export function camel(key: string): string {
  return key.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** camelCase to kebab-case. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
