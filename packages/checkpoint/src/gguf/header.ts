import { GGMLQuantizationType, type GGUFTensorInfo, gguf } from "@huggingface/gguf";
import { CheckpointError } from "../errors.ts";
import type { RandomAccessFile } from "../read-file.ts";
import { nElements } from "../tensor.ts";
import { type BlockType, blockTypes } from "./block-types.ts";
import { Metadata } from "./metadata.ts";

/** A tensor of a GGUF file under its GGUF name. */
export interface GgufTensor {
  readonly name: string;
  /** Row-major, rows first (the file lists the fastest dimension first). */
  readonly shape: readonly number[];
  readonly type: BlockType;
  /** First byte in the file, and bytes of one row (last dimension). */
  readonly offset: number;
  readonly rowBytes: number;
  readonly nRows: number;
}

export interface GgufHeader {
  readonly metadata: Metadata;
  readonly tensors: readonly GgufTensor[];
}

const bad = (file: string, message: string, tensor?: string, cause?: unknown) =>
  new CheckpointError("format", `${file}: not a valid GGUF file: ${message}`, { file, tensor, cause });

/** Fewest bytes of a tensor entry and of a key-value pair: more of them than fit in the file are refused before parsing. */
const minTensorBytes = 24;
const minPairBytes = 13;

async function checkStart({ path, sizeBytes, read }: RandomAccessFile): Promise<void> {
  const bytes = await read(0, Math.min(24, sizeBytes));
  const view = new DataView(bytes.buffer);
  if (sizeBytes < 24 || view.getUint32(0, true) !== 0x46554747) throw bad(path, "it does not begin with GGUF");
  const version = view.getUint32(4, true);
  if (version !== 2 && version !== 3)
    throw new CheckpointError(
      "unsupported",
      `${path}: GGUF version ${version} is not read here, only 2 and 3 (little-endian)`,
      {
        file: path,
      },
    );
  const nTensors = view.getBigUint64(8, true);
  const nPairs = view.getBigUint64(16, true);
  if (nTensors * BigInt(minTensorBytes) + nPairs * BigInt(minPairBytes) > BigInt(sizeBytes))
    throw bad(path, `it announces ${nTensors} tensors and ${nPairs} keys, more than fit in its ${sizeBytes} bytes`);
}

function readTensor(info: GGUFTensorInfo, dataStart: number, file: RandomAccessFile): GgufTensor {
  const { name } = info;
  const type = blockTypes.get(info.dtype);
  if (!type)
    throw new CheckpointError(
      "unsupported",
      `${file.path}: tensor ${name} is stored as ${GGMLQuantizationType[info.dtype] ?? `type ${info.dtype}`}, which is not read here`,
      { file: file.path, tensor: name },
    );
  const shape = info.shape.map(Number).reverse();
  const cols = shape.at(-1) ?? 1;
  const nRows = nElements(shape.slice(0, -1));
  if (cols % type.blockSize !== 0)
    throw bad(file.path, `rows of tensor ${name} ([${shape}]) are not whole blocks of ${type.blockSize}`, name);
  const rowBytes = (cols / type.blockSize) * type.blockBytes;
  const offset = dataStart + Number(info.offset);
  if (!(offset + nRows * rowBytes <= file.sizeBytes))
    throw bad(
      file.path,
      `tensor ${name} ([${shape}]) ends at byte ${offset + nRows * rowBytes} but the file at byte ${file.sizeBytes}: ` +
        "it is truncated; copy or download it again",
      name,
    );
  return { name, shape, type, offset, rowBytes, nRows };
}

async function parse(file: RandomAccessFile) {
  try {
    return await gguf(file.path, { allowLocalFile: true });
  } catch (cause) {
    throw bad(file.path, cause instanceof Error ? cause.message : String(cause), undefined, cause);
  }
}

/**
 * Reads a GGUF header (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) and checks every tensor against the size
 * of the file.
 * @throws CheckpointError "format", or "unsupported" naming the version or a tensor's storage type
 */
export async function readGgufHeader(file: RandomAccessFile): Promise<GgufHeader> {
  await checkStart(file);
  const { metadata, tensorInfos, tensorDataOffset, tensorInfoByteRange } = await parse(file);
  if (tensorInfoByteRange[1] > file.sizeBytes)
    throw bad(file.path, "its header is truncated; copy or download it again");
  const tensors = tensorInfos.map((info) => readTensor(info, Number(tensorDataOffset), file));
  if (new Set(tensors.map(({ name }) => name)).size !== tensors.length)
    throw bad(file.path, "a tensor name occurs twice");
  return { metadata: new Metadata(file.path, { ...metadata }), tensors };
}
