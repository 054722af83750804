import { duplicateKey } from "./duplicate-key.ts";
import { CheckpointError } from "./errors.ts";
import { isTensorDType, itemBytes, type TensorInfo, tensorBytes } from "./tensor.ts";

/** Largest header that readers accept, in bytes: the limit of the safetensors library. */
export const maxHeaderBytes = 100_000_000;

/** The header begins with its own length as a little-endian u64. */
export const lengthBytes = 8;

/** A tensor and its place [start, end) relative to the first data byte. */
export interface SafetensorsEntry extends TensorInfo {
  readonly start: number;
  readonly end: number;
}

/** A checked header; `entries` stand in the order of the data. */
export interface SafetensorsHeader {
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

const bad = (file: string, message: string, tensor?: string, cause?: unknown) =>
  new CheckpointError("format", `${file}: not a valid safetensors file: ${message}`, { file, tensor, cause });

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * Checks the length prefix against the limit and the size of the file.
 * @param prefix the first 8 bytes
 * @returns the bytes of the JSON header
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (prefix.byteLength < lengthBytes)
    throw bad(file, `it has ${fileBytes} bytes, fewer than the 8 of the header length; make or fetch it again`);
  const length = new DataView(prefix.buffer, prefix.byteOffset, lengthBytes).getBigUint64(0, true);
  const text = new TextDecoder().decode(prefix);
  if (text === "version ")
    throw bad(file, "it is a pointer of Git LFS, not the weights; fetch them with `git lfs pull`");
  if (/^\s*<(!doc|html|\?xml)/i.test(text)) throw bad(file, "it is a web page, not weights; fetch the file again");
  if (length > BigInt(maxHeaderBytes))
    throw bad(file, `its first 8 bytes give a header of ${length} bytes; at most ${maxHeaderBytes} are allowed`);
  const needed = lengthBytes + Number(length);
  if (needed > fileBytes)
    throw bad(
      file,
      `the header ends at byte ${needed} but the file at byte ${fileBytes}: it is truncated; make or fetch it again`,
    );
  return Number(length);
}

function parseJson(json: Uint8Array, file: string): Record<string, unknown> {
  let value: unknown;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(file, `its header is not JSON (${cause instanceof Error ? cause.message : cause})`, undefined, cause);
  }
  if (!isRecord(value)) throw bad(file, "its header is not a JSON object");
  const twice = duplicateKey(text);
  if (twice !== undefined) throw bad(file, `its header holds the name ${JSON.stringify(twice)} twice`, twice);
  return value;
}

function parseMetadata(value: unknown, file: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value) || !Object.values(value).every((item) => typeof item === "string"))
    throw bad(file, "__metadata__ must be an object of strings");
  return value as Record<string, string>;
}

function parseShape(shape: unknown, name: string, file: string): number[] {
  if (Array.isArray(shape) && shape.every(isSize) && isSize(shape.reduce((p, n) => p * n, 1))) return shape;
  throw bad(file, `tensor ${name} has the impossible shape ${JSON.stringify(shape)}`, name);
}

function parseEntry(name: string, value: unknown, file: string): SafetensorsEntry {
  if (!isRecord(value)) throw bad(file, `the entry of tensor ${name} is not an object`, name);
  const { dtype, shape: rawShape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw bad(file, `tensor ${name} has no dtype`, name);
  if (!isTensorDType(dtype))
    throw new CheckpointError(
      "unsupported",
      `${file}: tensor ${name} has the element type ${dtype}, which is not read here`,
      {
        file,
        tensor: name,
      },
    );
  const shape = parseShape(rawShape, name, file);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    throw bad(file, `tensor ${name} has the impossible data_offsets ${JSON.stringify(offsets)}`, name);
  const [start, end] = offsets;
  const info = { name, dtype, shape };
  if (end - start !== tensorBytes(info))
    throw bad(
      file,
      `tensor ${name} (${dtype}, [${shape}]) needs ${tensorBytes(info)} bytes but its data_offsets [${offsets}] hold ${end - start}`,
      name,
    );
  return { ...info, start, end };
}

function checkContiguous(entries: readonly SafetensorsEntry[], dataBytes: number, file: string): void {
  let position = 0;
  for (const { name, start, end } of entries) {
    if (start > position)
      throw bad(file, `a hole of ${start - position} bytes lies before tensor ${name} at data byte ${position}`, name);
    if (start < position)
      throw bad(
        file,
        `tensor ${name} at data byte ${start} overlaps the one before it, which ends at ${position}`,
        name,
      );
    position = end;
  }
  if (position > dataBytes)
    throw bad(
      file,
      `the tensors end at data byte ${position} but the file at ${dataBytes}: it is truncated; make or fetch it again`,
    );
  if (position < dataBytes)
    throw bad(file, `${dataBytes - position} bytes follow the last tensor, which ends at data byte ${position}`);
}

/**
 * Parses and checks a safetensors header by every rule of the format: JSON object, no name twice, sizes equal to
 * shape x dtype, no hole, no overlap, last end = end of file.
 * @param json the header without its length prefix
 * @param dataBytes bytes of the file after the header
 * @throws CheckpointError "format", or "unsupported" for an element type that is not read here
 */
export function parseHeader(json: Uint8Array, dataBytes: number, file: string): SafetensorsHeader {
  const { __metadata__, ...tensors } = parseJson(json, file);
  const metadata = parseMetadata(__metadata__, file);
  const entries = Object.entries(tensors).map(([name, value]) => parseEntry(name, value, file));
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  checkContiguous(entries, dataBytes, file);
  return { entries: new Map(entries.map((entry) => [entry.name, entry])), metadata };
}

/** A header to write: its bytes with the length prefix, and where each tensor begins in the file. */
export interface HeaderPlan {
  readonly bytes: Uint8Array;
  /** Byte of the file at which tensor i begins. */
  readonly offsets: readonly number[];
  readonly fileBytes: number;
}

/**
 * Lays tensors out one after the other in the order given; the header is padded with blanks to a multiple of 8 bytes.
 * `metadata` defaults to what transformers asks for, {"format":"pt"}. Throws `CheckpointError` when a name occurs twice.
 */
export function planHeader(
  tensors: readonly TensorInfo[],
  metadata: Readonly<Record<string, string>> = {},
): HeaderPlan {
  let position = 0;
  const starts: number[] = [];
  const parts = [`"__metadata__":${JSON.stringify({ format: "pt", ...metadata })}`];
  const seen = new Set<string>(["__metadata__"]);
  for (const info of tensors) {
    if (seen.has(info.name))
      throw new CheckpointError("format", `tensor name ${info.name} occurs twice`, { tensor: info.name });
    seen.add(info.name);
    const end = position + tensorBytes(info);
    const entry = { dtype: info.dtype, shape: info.shape, data_offsets: [position, end] };
    parts.push(`${JSON.stringify(info.name)}:${JSON.stringify(entry)}`);
    starts.push(position);
    position = end;
  }
  const bytes = prefixed(`{${parts.join(",")}}`);
  return { bytes, offsets: starts.map((start) => start + bytes.length), fileBytes: bytes.length + position };
}

function prefixed(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(lengthBytes + padded).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(text, lengthBytes);
  return bytes;
}

/** Throws `CheckpointError` ("format") unless a tensor's bytes are as many as its dtype and shape say. */
export function checkTensorSize(info: TensorInfo, bytes: Uint8Array): void {
  if (bytes.byteLength === tensorBytes(info)) return;
  throw new CheckpointError(
    "format",
    `tensor ${info.name} (${info.dtype}, [${info.shape}]) needs ${tensorBytes(info)} bytes (${itemBytes(info.dtype)} an element) ` +
      `but ${bytes.byteLength} were given`,
    { tensor: info.name },
  );
}
