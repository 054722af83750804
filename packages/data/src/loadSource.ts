import { statSync } from "node:fs";
import { applySystemPrompt } from "./applySystemPrompt.ts";
import type { Dataset, Split } from "./dataset.ts";
import { DataError } from "./errors.ts";
import type { Example } from "./example.ts";
import { type LoadOptions, loadExamples } from "./load.ts";
import { mixExamples } from "./mix.ts";
import { type HubPath, parseSpelling } from "./spelling.ts";
import { systemPrompts } from "./systemPrompts.ts";

/** What reading a data source needs of the world: this package knows no network. */
export interface SourceAccess {
  /** The local path of a file of the Hub. */
  locate(file: HubPath): Promise<string>;
  /** Something that the user should know. */
  warn(message: string): void;
}

/** How a source is read. */
export interface SourceOptions {
  /** Of what a mixture draws. */
  readonly seed: number;
  /** The system prompt of each example: `official` is that of the official code for a named data set, and none for a file. */
  readonly template?: "official" | keyof typeof systemPrompts;
  /** For files whose names do not speak for themselves; a named data set knows its own. */
  readonly file?: Pick<LoadOptions, "columns" | "header" | "where">;
}

/**
 * The examples of a data source by any spelling (spelling.ts).
 * @throws DataError as `loadExamples`; for a name that means nothing, a data set that the user must bring; what `locate` throws
 */
export async function loadSource(spelling: string, access: SourceAccess, options: SourceOptions): Promise<Example[]> {
  const spelled = parseSpelling(spelling, isFile);
  const template = options.template ?? "official";
  if (spelled.kind === "named") {
    refuseFileOptions(spelling, options);
    return loadNamed(spelled, access, { ...options, template });
  }
  const file = spelled.kind === "file" ? spelled.file : await access.locate(spelled.file);
  const examples = await loadExamples(file, options.file);
  return template === "official"
    ? examples
    : examples.map((example) => applySystemPrompt(example, systemPrompts[template]));
}

/** True for a data set by name, false for a file here or on the Hub. @throws DataError as `loadSource` for a name that means nothing */
export function isNamed(spelling: string): boolean {
  return parseSpelling(spelling, isFile).kind === "named";
}

/** True when what it holds is shown on demand only. @throws DataError as `loadSource` for a name that means nothing */
export function isHarmful(spelling: string): boolean {
  const spelled = parseSpelling(spelling, isFile);
  return spelled.kind === "named" && spelled.split.harmful === true;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

interface Named {
  readonly dataset: Dataset;
  readonly split: Split;
  readonly files?: readonly string[];
}

type NamedOptions = SourceOptions & { readonly template: "official" | keyof typeof systemPrompts };

async function loadNamed(named: Named, access: SourceAccess, options: NamedOptions): Promise<Example[]> {
  const { dataset, split } = named;
  if (dataset.parts !== undefined) return loadParts(named, access, options);
  const files = named.files ?? (await Promise.all(hubPaths(named).map((file) => access.locate(file))));
  const { columns, header, request, referenceAfter } = dataset;
  const isCsv = (file: string) => /\.[ct]sv(\.gz)?$/i.test(file);
  const skipBlank = (n: number, file: string) => access.warn(`${file}: ${n} records without a prompt are left out.`);
  const examples: Example[] = [];
  for (const file of files) {
    const reading = { columns, request, referenceAfter, where: split.where, header: isCsv(file) ? header : undefined };
    examples.push(...(await loadExamples(file, { ...reading, skipBlank: dataset.hasBlanks && skipBlank })));
  }
  return underTemplate(examples, options.template === "official" ? dataset.template : options.template);
}

/** In place of a system message that a record brings: the official code does so, too (samsum_dataset.py, `len(a) == 3`). */
function underTemplate(examples: readonly Example[], name: keyof typeof systemPrompts | undefined): Example[] {
  if (name === undefined) return [...examples];
  return examples.map((example) => {
    const messages = example.messages.filter(({ role }) => role !== "system");
    return applySystemPrompt({ ...example, messages }, systemPrompts[name]);
  });
}

function hubPaths({ dataset, split }: Named): HubPath[] {
  const { name, hub, source } = dataset;
  if (hub !== undefined) return (split.files ?? []).map((path) => ({ repo: hub, revision: "main", path }));
  throw new DataError(name, undefined, `is on no Hub. Bring its file: ${name}=FILE (${source}).`);
}

/** The user's files stand for the parts in their order; a part without one comes from the Hub. */
async function loadParts(
  { dataset, files = [] }: Named,
  access: SourceAccess,
  options: NamedOptions,
): Promise<Example[]> {
  const parts = dataset.parts ?? [];
  if (files.length > parts.length)
    throw new DataError(dataset.name, undefined, `has ${parts.length} parts, but ${files.length} files are named.`);
  const loaded = parts.map(async ({ dataset: name, split, n }, i) => {
    const spelling = `${name}/${split}${files[i] === undefined ? "" : `=${files[i]}`}`;
    return { name: spelling, examples: await loadSource(spelling, access, options), n };
  });
  return mixExamples(await Promise.all(loaded), options.seed);
}

function refuseFileOptions(spelling: string, { file = {} }: SourceOptions): void {
  const given = Object.entries(file).filter(([, value]) => value !== undefined);
  if (given.length === 0) return;
  const names = given.map(([name]) => name).join(", ");
  throw new DataError(spelling, undefined, `knows its own columns; ${names} would have no effect. Leave it out.`);
}
