import { statSync } from "node:fs";
import { applySystemPrompt } from "./applySystemPrompt.ts";
import { DataError } from "./errors.ts";
import type { Example } from "./example.ts";
import { loadExamples, type Mapping } from "./load.ts";
import { type Draw, mixExamples } from "./mix.ts";
import { type HubPath, parseSpelling, type Spelled } from "./spelling.ts";
import { type PromptTemplate, systemPrompts } from "./systemPrompts.ts";

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
  /** The system prompt where the spelling names none: `official` is that of the official code for a named data set, and none for a file. */
  readonly template?: Template;
  /** Requests as the files have them, whatever template is named: what is equal is told by these. */
  readonly bare?: boolean;
  /** Refuse a file of prompts alone; a named data set has what it has. */
  readonly needsAnswers?: boolean;
}

type Template = "official" | keyof typeof systemPrompts;

/**
 * The examples of a data source by any spelling (spelling.ts).
 * @throws DataError as `loadExamples`; for a name that means nothing, a data set that the user must bring; what `locate` throws
 */
export async function loadSource(spelling: string, access: SourceAccess, options: SourceOptions): Promise<Example[]> {
  const spelled = checkSource(spelling);
  const template = options.bare ? undefined : (spelled.reading.template ?? options.template ?? "official");
  if (spelled.kind === "named") return loadNamed(spelled, access, { ...options, template });
  const file = spelled.kind === "file" ? spelled.file : await access.locate(spelled.file);
  const { columns, header, where } = spelled.reading;
  const words = wordsOf(template === "official" ? undefined : template);
  const { needsAnswers } = options;
  const examples = await loadExamples(file, { columns, header, where, between: words?.input?.between, needsAnswers });
  return words === undefined ? examples : examples.map((example) => applySystemPrompt(example, words));
}

/** What a spelling means on this machine. @throws DataError as `loadSource` for one that means nothing */
export function parseSource(spelling: string): Spelled {
  return parseSpelling(spelling, isFile);
}

/** As `parseSource`. @throws DataError as `loadSource` for everything that is wrong with a spelling whatever its files hold, or whether they are there */
export function checkSource(spelling: string): Spelled {
  const spelled = parseSource(spelling);
  if (spelled.kind !== "named") return spelled;
  refuseIdle(spelling, spelled);
  if (spelled.dataset.parts === undefined && spelled.files === undefined) hubPaths(spelled);
  for (const { name } of partsOf(spelled)) checkSource(name);
  return spelled;
}

/** True when what it holds is shown on demand only. @throws DataError as `parseSource` */
export function isHarmful(spelling: string): boolean {
  const spelled = parseSource(spelling);
  return spelled.kind === "named" && spelled.split.harmful === true;
}

/** The files of this machine that a spelling names. @throws DataError as `parseSource` */
export function localFiles(spelling: string): readonly string[] {
  const spelled = parseSource(spelling);
  if (spelled.kind === "hub") return [];
  return spelled.kind === "file" ? [spelled.file] : (spelled.files ?? []);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

type Named = Extract<Spelled, { readonly kind: "named" }>;
type NamedOptions = SourceOptions & { readonly template: Template | undefined };

async function loadNamed(named: Named, access: SourceAccess, options: NamedOptions): Promise<Example[]> {
  const { dataset, split } = named;
  if (dataset.parts !== undefined) return loadParts(named, access, options);
  const files = named.files ?? (await Promise.all(hubPaths(named).map((file) => access.locate(file))));
  const { columns, header, request, referenceAfter } = dataset;
  const where: Mapping = { ...split.where, ...named.reading.where };
  const isCsv = (file: string) => /\.[ct]sv(\.gz)?$/i.test(file);
  const skipBlank = (n: number, file: string) => access.warn(`${file}: ${n} records without a prompt are left out.`);
  const template = options.template === "official" ? dataset.template : options.template;
  const between = wordsOf(template)?.input?.between;
  const examples: Example[] = [];
  for (const file of files) {
    const reading = { columns, between, request, referenceAfter, where, header: isCsv(file) ? header : undefined };
    examples.push(...(await loadExamples(file, { ...reading, skipBlank: dataset.hasBlanks && skipBlank })));
  }
  return underTemplate(examples, template);
}

function wordsOf(template: keyof typeof systemPrompts | undefined): PromptTemplate | undefined {
  return template && systemPrompts[template];
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

async function loadParts(named: Named, access: SourceAccess, options: NamedOptions): Promise<Example[]> {
  const loads = partsOf(named).map(async (part) => {
    return { ...part, examples: await loadSource(part.name, access, options) };
  });
  const failures = (await Promise.allSettled(loads)).flatMap((end) => (end.status === "rejected" ? [end.reason] : []));
  // What is wrong with a file that is here is told before what is not here.
  if (failures.length > 0) throw failures.find((error) => error instanceof DataError) ?? failures[0];
  return mixExamples(await Promise.all(loads), options.seed);
}

/** The user's files stand for the parts in their order; a part without one comes from the Hub. */
function partsOf({ dataset, files = [] }: Named): Draw[] {
  const parts = dataset.parts ?? [];
  if (dataset.parts !== undefined && files.length > parts.length)
    throw new DataError(dataset.name, undefined, `has ${parts.length} parts, but ${files.length} files are named.`);
  return parts.map(({ dataset: name, split, n }, i) => {
    return { name: `${name}/${split}${files[i] === undefined ? "" : `=${files[i]}`}`, n };
  });
}

/** A named data set knows its columns; its records may be chosen among, those of a mixture may not. */
function refuseIdle(spelling: string, { dataset, split, reading }: Named): void {
  const { columns, header, where = {} } = reading;
  const fixed = Object.keys(dataset.parts === undefined ? (split.where ?? {}) : where);
  const idle = Object.keys(where).filter((column) => fixed.includes(column));
  const names = [...Object.keys(columns ?? {}), ...(header ? ["header"] : []), ...idle.map((name) => `where.${name}`)];
  if (names.length === 0) return;
  throw new DataError(
    spelling,
    undefined,
    `${dataset.name} knows its own ${names.join(", ")}. Leave it out behind "#".`,
  );
}
