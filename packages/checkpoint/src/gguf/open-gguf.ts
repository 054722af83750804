import type { Checkpoint } from "../checkpoint.ts";
import { type Companion, companionOf } from "../companions.ts";
import { decodeF32 } from "../decode.ts";
import { CheckpointError } from "../errors.ts";
import type { JsonObject } from "../json-file.ts";
import { openFile, type RandomAccessFile } from "../read-file.ts";
import { requireTensor, rowRange, type Tensor, type TensorInfo } from "../tensor.ts";
import { configOf, familyOf, type GgufFamily, generationConfig } from "./config.ts";
import { type GgufTensor, readGgufHeader } from "./header.ts";
import type { Metadata } from "./metadata.ts";
import { huggingFaceName, ropeFactorsName } from "./names.ts";
import { tokenizerConfigOf, tokenizerOf } from "./tokenizer.ts";

/** A tensor as the reader sees it, and where its rows lie. */
interface Entry {
  readonly info: TensorInfo;
  readonly stored: GgufTensor;
  /** Rows of one head when the file keeps rotary pairs next to each other, else undefined. */
  readonly headRows?: number;
}

/**
 * GGUF keeps the two halves of each rotary pair next to each other; Hugging Face keeps them half a head apart
 * (llama.cpp `LlamaModel.permute`). Row i of the result is row `sourceRow(i)` of the file.
 */
function sourceRow(row: number, headRows: number): number {
  const inHead = row % headRows;
  const half = headRows / 2;
  return row - inHead + (inHead % half) * 2 + Math.floor(inHead / half);
}

/** The stored bytes of rows [start, start + count) in the order of Hugging Face. */
async function readStoredRows(
  file: RandomAccessFile,
  { stored, headRows }: Entry,
  start: number,
  count: number,
): Promise<Uint8Array> {
  const { offset, rowBytes } = stored;
  if (headRows === undefined) return file.read(offset + start * rowBytes, offset + (start + count) * rowBytes);
  const firstHead = Math.floor(start / headRows) * headRows;
  const end = Math.ceil((start + count) / headRows) * headRows;
  const heads = await file.read(offset + firstHead * rowBytes, offset + end * rowBytes);
  const out = new Uint8Array(count * rowBytes);
  for (let i = 0; i < count; i++) {
    const from = (sourceRow(start + i, headRows) - firstHead) * rowBytes;
    out.set(heads.subarray(from, from + rowBytes), i * rowBytes);
  }
  return out;
}

/** Stored rows as values of the type that the reader sees. */
function unpack(bytes: Uint8Array, { type }: GgufTensor): Uint8Array {
  if (!type.dequantise) return bytes;
  const nBlocks = bytes.byteLength / type.blockBytes;
  const values = new Float32Array(nBlocks * type.blockSize);
  type.dequantise(bytes, nBlocks, values);
  return new Uint8Array(values.buffer);
}

/** A vector is stored as one row; its elements are the rows that a reader may ask for. */
async function readEntryRows(file: RandomAccessFile, entry: Entry, start: number, count: number): Promise<Tensor> {
  const { info, startByte, endByte } = rowRange(entry.info, start, count);
  const { stored } = entry;
  if (stored.shape.length === 1) {
    const bytes = unpack(await file.read(stored.offset, stored.offset + stored.rowBytes), stored);
    return { ...info, bytes: bytes.slice(startByte, endByte) };
  }
  return { ...info, bytes: unpack(await readStoredRows(file, entry, start, count), stored) };
}

/** Rows of one head of q and k in families that llama.cpp permutes; vectors (biases) of them are refused. */
function headRowsOf(name: string, stored: GgufTensor, metadata: Metadata, family: GgufFamily): number | undefined {
  const part = /self_attn\.([qk])_proj\.(weight|bias)$/.exec(name);
  if (!part || !family.permutesRotary) return undefined;
  if (part[2] === "bias")
    throw new CheckpointError(
      "unsupported",
      `${metadata.file}: ${stored.name}: biases of this family are not read from GGUF`,
      {
        file: metadata.file,
        tensor: stored.name,
      },
    );
  const heads = metadata.number("llama.attention.head_count");
  const nHeads = part[1] === "q" ? heads : metadata.numberOr("llama.attention.head_count_kv", heads);
  const headRows = stored.nRows / nHeads;
  if (Number.isInteger(headRows / 2)) return headRows;
  throw new CheckpointError(
    "format",
    `${metadata.file}: tensor ${stored.name} ([${stored.shape}]) does not divide into ${nHeads} heads`,
    {
      file: metadata.file,
      tensor: stored.name,
    },
  );
}

function entriesOf(tensors: readonly GgufTensor[], metadata: Metadata, family: GgufFamily): Map<string, Entry> {
  const entries = tensors
    .filter(({ name }) => name !== ropeFactorsName)
    .map((stored): Entry => {
      const name = huggingFaceName(stored.name, metadata.file);
      const info = { name, dtype: stored.type.dtype, shape: stored.shape };
      return { info, stored, headRows: headRowsOf(name, stored, metadata, family) };
    });
  entries.sort((a, b) => (a.info.name < b.info.name ? -1 : 1));
  return new Map(entries.map((entry) => [entry.info.name, entry]));
}

async function readRopeFactors(
  file: RandomAccessFile,
  tensors: readonly GgufTensor[],
): Promise<Float32Array | undefined> {
  const stored = tensors.find(({ name }) => name === ropeFactorsName);
  if (!stored) return undefined;
  const info = { name: stored.name, dtype: stored.type.dtype, shape: stored.shape };
  return decodeF32(await readEntryRows(file, { info, stored }, 0, stored.shape[0]));
}

function jsonCompanion(value: JsonObject): Companion {
  return companionOf(new TextEncoder().encode(`${JSON.stringify(value, null, 1)}\n`));
}

function companionsOf(metadata: Metadata, config: JsonObject): Map<string, Companion> {
  return new Map([
    ["config.json", jsonCompanion(config)],
    ["generation_config.json", jsonCompanion(generationConfig(metadata))],
    ["tokenizer.json", jsonCompanion(tokenizerOf(metadata))],
    ["tokenizer_config.json", jsonCompanion(tokenizerConfigOf(metadata))],
  ]);
}

async function openParts(file: RandomAccessFile, spec: string): Promise<Checkpoint> {
  const { metadata, tensors: stored } = await readGgufHeader(file);
  const family = familyOf(metadata);
  const entries = entriesOf(stored, metadata, family);
  const tensors = new Map([...entries].map(([name, { info }]) => [name, info]));
  const config = configOf(metadata, family, tensors, await readRopeFactors(file, stored));
  const readRows = async (name: string, start: number, count: number) =>
    readEntryRows(file, requireTensor(entries, name, file.path), start, count);
  return {
    spec,
    kind: "gguf",
    config,
    tensors,
    companions: companionsOf(metadata, config),
    readRows,
    read: async (name) => readRows(name, 0, requireTensor(tensors, name, file.path).shape[0]),
    close: () => file.close(),
  };
}

/**
 * Opens a GGUF file as if it were the Hugging Face folder it was made from: names, order of q and k rows, config.json,
 * tokenizer files and generation config. Quantised blocks are read as F32; F32, F16 and BF16 stay as they are.
 * @throws CheckpointError "unsupported" naming the family, storage type or tokenizer; "format"
 */
export async function openGguf(path: string, spec: string): Promise<Checkpoint> {
  const file = await openFile(path);
  try {
    return await openParts(file, spec);
  } catch (error) {
    await file.close();
    throw error;
  }
}
