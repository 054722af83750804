import { MlcError } from "./errors.ts";
import type { MlcRecord } from "./records.ts";

/** What a model library says of itself. */
export interface LibraryMetadata {
  readonly modelType: string;
  readonly quantization: string;
  /** Most tokens that enter the model at once. */
  readonly prefillChunkSize?: number;
  /** Layers, heads and head size that its cache is made for. */
  readonly kvCache: Readonly<Record<string, number>>;
  /** The tensors that it asks for; a size written as a word stands for any. */
  readonly params: readonly LibraryParam[];
}

export interface LibraryParam {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  readonly dtype: string;
}

const wasmMagic = "\0asm";
const metadataStart = '{"model_type"';

/**
 * The metadata inside a model library: a JSON text in its data that begins with `model_type`.
 * @param file for messages
 * @throws MlcError when it is no WebAssembly or holds no such text
 */
export function readLibrary(bytes: Uint8Array, file: string): LibraryMetadata {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (text.toString("latin1", 0, 4) !== wasmMagic) throw new MlcError([`${file} is no WebAssembly.`]);
  const start = text.indexOf(metadataStart);
  const end = start < 0 ? -1 : endOfObject(text, start);
  if (end < 0) throw new MlcError([`${file} holds no model metadata; is it a model library of MLC?`]);
  return parseMetadata(text.toString("utf8", start, end), file);
}

/** One past the brace that closes the object which begins at `start`; -1 when there is none. Braces in strings do not count. */
function endOfObject(text: Buffer, start: number): number {
  const [quote, backslash, opening, closing] = ['"', "\\", "{", "}"].map((mark) => mark.charCodeAt(0));
  let [depth, inString] = [0, false];
  for (let i = start; i < text.length; i++) {
    if (inString && text[i] === backslash) i++;
    else if (text[i] === quote) inString = !inString;
    else if (!inString && text[i] === opening) depth++;
    else if (!inString && text[i] === closing && --depth === 0) return i + 1;
  }
  return -1;
}

function parseMetadata(json: string, file: string): LibraryMetadata {
  const bad = (why: string) => new MlcError([`${file}: its model metadata cannot be read (${why}).`]);
  let found: Record<string, unknown>;
  try {
    found = JSON.parse(json);
  } catch (error) {
    throw bad((error as Error).message);
  }
  const { model_type: modelType, quantization, params, prefill_chunk_size: chunk, kv_cache: kvCache } = found;
  if (typeof modelType !== "string" || typeof quantization !== "string") throw bad("no model_type or quantization");
  if (!Array.isArray(params) || !params.every(isParam)) throw bad("params is no list of names, shapes and dtypes");
  const isTable = typeof kvCache === "object" && kvCache !== null;
  return {
    modelType,
    quantization,
    params,
    prefillChunkSize: typeof chunk === "number" ? chunk : undefined,
    kvCache: isTable ? (kvCache as Record<string, number>) : {},
  };
}

function isParam(value: unknown): value is LibraryParam {
  const { name, shape, dtype } = (value ?? {}) as Record<string, unknown>;
  const isSize = (size: unknown) => typeof size === "number" || typeof size === "string";
  return typeof name === "string" && typeof dtype === "string" && Array.isArray(shape) && shape.every(isSize);
}

/** What an export is, for the comparison. */
export interface Exported {
  readonly modelType: string;
  readonly quantization: string;
  readonly kvCache: Readonly<Record<string, number>>;
  readonly records: readonly MlcRecord[];
}

/** Everything in which a library asks for something else than the export holds, a sentence each; empty when it fits. */
export function libraryDifferences(library: LibraryMetadata, exported: Exported): string[] {
  const told: string[] = [];
  const compare = (what: string, asked: unknown, has: unknown) => {
    if (asked !== has) told.push(`${what}: the library has ${asked}, the export ${has}.`);
  };
  compare("model_type", library.modelType, exported.modelType);
  compare("quantization", library.quantization, exported.quantization);
  for (const [name, asked] of Object.entries(library.kvCache)) {
    if (name in exported.kvCache) compare(name, asked, exported.kvCache[name]);
  }
  const records = new Map(exported.records.map((record) => [record.name, record]));
  for (const { name, shape, dtype } of library.params) {
    const record = records.get(name);
    if (!record) {
      told.push(`${name}: the library asks for it, the export has none.`);
      continue;
    }
    if (!sameShape(shape, record.shape)) compare(`${name}, shape`, `[${shape}]`, `[${record.shape}]`);
    compare(`${name}, dtype`, dtype, record.dtype);
  }
  const asked = new Set(library.params.map(({ name }) => name));
  const idle = exported.records.filter(({ name }) => !asked.has(name));
  return [...told, ...idle.map(({ name }) => `${name}: the export has it, the library does not ask for it.`)];
}

function sameShape(asked: LibraryParam["shape"], has: readonly number[]): boolean {
  return asked.length === has.length && asked.every((size, i) => typeof size === "string" || size === has[i]);
}
