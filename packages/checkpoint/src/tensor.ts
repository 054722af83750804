import { CheckpointError } from "./errors.ts";

/** Element types by their safetensors spelling, with the bytes of one element. */
const itemBytesOf = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

/** An element type that can be read here, in safetensors spelling. */
export type TensorDType = keyof typeof itemBytesOf;

/** Name, element type and shape of a tensor; row-major, a scalar has the shape []. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
}

/** A tensor with its values: little-endian, row-major. `bytes` may start at any address: copy before viewing as numbers. */
export interface Tensor extends TensorInfo {
  readonly bytes: Uint8Array;
}

/** True for an element type this package reads. */
export function isTensorDType(value: unknown): value is TensorDType {
  return typeof value === "string" && Object.hasOwn(itemBytesOf, value);
}

/** Bytes of one element. */
export function itemBytes(dtype: TensorDType): number {
  return itemBytesOf[dtype];
}

/** Product of a shape; 1 for a scalar. */
export function nElements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Bytes of all elements of a tensor. */
export function tensorBytes(info: TensorInfo): number {
  return nElements(info.shape) * itemBytes(info.dtype);
}

/** What `count` rows (leading dimension) from row `start` are: their info and their place in the tensor's bytes. */
export interface RowRange {
  readonly info: TensorInfo;
  readonly startByte: number;
  readonly endByte: number;
}

/** Locates rows of a tensor. Throws `CheckpointError` ("missing") when they lie outside it or it is a scalar. */
export function rowRange(info: TensorInfo, start: number, count: number): RowRange {
  const [rows, ...rest] = info.shape;
  const valid = rows !== undefined && Number.isInteger(start) && Number.isInteger(count);
  if (!valid || start < 0 || count < 0 || start + count > rows)
    throw new CheckpointError(
      "missing",
      `tensor ${info.name}: rows ${start} to ${start + count} asked for, but its shape is [${info.shape}]`,
      { tensor: info.name },
    );
  const rowBytes = nElements(rest) * itemBytes(info.dtype);
  return {
    info: { ...info, shape: [count, ...rest] },
    startByte: start * rowBytes,
    endByte: (start + count) * rowBytes,
  };
}

/** Looks a tensor up by name. Throws `CheckpointError` ("missing") naming the file and the tensor. */
export function requireTensor<T>(tensors: ReadonlyMap<string, T>, name: string, file: string): T {
  const found = tensors.get(name);
  if (found === undefined)
    throw new CheckpointError("missing", `${file}: holds no tensor ${name}`, { file, tensor: name });
  return found;
}
