import { openFile, type RandomAccessFile } from "./read-file.ts";
import { headerLength, lengthBytes, parseHeader, type SafetensorsHeader } from "./safetensors-header.ts";
import { requireTensor, rowRange, type Tensor, type TensorInfo } from "./tensor.ts";

/** An open file of tensors; bytes are read when asked for. */
export interface TensorFile {
  readonly path: string;
  /** In the order of the data. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  /** A whole tensor. Throws `CheckpointError` ("missing") for a name the file does not hold. */
  read(name: string): Promise<Tensor>;
  /** `count` rows (leading dimension) from row `start`, as a tensor of shape [count, …]. */
  readRows(name: string, start: number, count: number): Promise<Tensor>;
  close(): Promise<void>;
}

async function readHeader(file: RandomAccessFile): Promise<{ header: SafetensorsHeader; dataStart: number }> {
  const prefix = await file.read(0, Math.min(lengthBytes, file.sizeBytes));
  const dataStart = lengthBytes + headerLength(prefix, file.sizeBytes, file.path);
  const json = await file.read(lengthBytes, dataStart);
  return { header: parseHeader(json, file.sizeBytes - dataStart, file.path), dataStart };
}

function tensorFile(file: RandomAccessFile, header: SafetensorsHeader, dataStart: number): TensorFile {
  const { entries, metadata } = header;
  const infos = [...entries.values()].map(({ name, dtype, shape }): TensorInfo => ({ name, dtype, shape }));
  const tensors = new Map(infos.map((info) => [info.name, info]));
  const readRange = async (info: TensorInfo, start: number, end: number) => ({
    ...info,
    bytes: await file.read(dataStart + start, dataStart + end),
  });
  return {
    path: file.path,
    tensors,
    metadata,
    async read(name) {
      const { start, end } = requireTensor(entries, name, file.path);
      return readRange(requireTensor(tensors, name, file.path), start, end);
    },
    async readRows(name, start, count) {
      const entry = requireTensor(entries, name, file.path);
      const rows = rowRange(requireTensor(tensors, name, file.path), start, count);
      return readRange(rows.info, entry.start + rows.startByte, entry.start + rows.endByte);
    },
    close: () => file.close(),
  };
}

/**
 * Opens a safetensors file and checks its header by every rule of the format (https://github.com/huggingface/safetensors).
 * @throws CheckpointError "format", "unsupported", "not-found" or "io", naming file, tensor and byte
 */
export async function openSafetensors(path: string): Promise<TensorFile> {
  const file = await openFile(path);
  try {
    const { header, dataStart } = await readHeader(file);
    return tensorFile(file, header, dataStart);
  } catch (error) {
    await file.close();
    throw error;
  }
}
