import { CheckpointError } from "./errors.ts";
import { itemBytes, type Tensor, type TensorDType } from "./tensor.ts";

/** The bytes at an address that a typed array of the element type may view; copies only when needed. */
export function alignedBytes(bytes: Uint8Array, dtype: TensorDType): Uint8Array<ArrayBuffer> {
  const usable = bytes.byteOffset % itemBytes(dtype) === 0 && bytes.buffer instanceof ArrayBuffer;
  return usable ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}

/** Number of whole elements in `bytes`. */
function nItems(bytes: Uint8Array, dtype: TensorDType): number {
  return bytes.byteLength / itemBytes(dtype);
}

function decodeBf16(bytes: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, nItems(bytes, "BF16"));
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < bits.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}

/** Value of an OCP FP8 E4M3 byte ("fn" flavour: bias 7, no infinity, 0x7f and 0xff are NaN). */
function e4m3(byte: number): number {
  const sign = byte & 0x80 ? -1 : 1;
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  if (exponent === 15 && fraction === 7) return Number.NaN;
  return exponent === 0 ? (sign * fraction) / 512 : sign * (1 + fraction / 8) * 2 ** (exponent - 7);
}

function decodeE4m3(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const table = Float32Array.from({ length: 256 }, (_, byte) => e4m3(byte));
  return Float32Array.from(bytes, (byte) => table[byte]);
}

/** E5M2 is the upper byte of an IEEE half. */
function decodeE5m2(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const halves = Uint16Array.from(bytes, (byte) => byte << 8);
  return new Float32Array(new Float16Array(halves.buffer));
}

type Decoder = (bytes: Uint8Array<ArrayBuffer>) => Float32Array<ArrayBuffer>;

const decoders: Partial<Record<TensorDType, Decoder>> = {
  F64: (bytes) => new Float32Array(new Float64Array(bytes.buffer, bytes.byteOffset, nItems(bytes, "F64"))),
  F32: (bytes) => new Float32Array(new Float32Array(bytes.buffer, bytes.byteOffset, nItems(bytes, "F32"))),
  F16: (bytes) => new Float32Array(new Float16Array(bytes.buffer, bytes.byteOffset, nItems(bytes, "F16"))),
  BF16: decodeBf16,
  F8_E4M3: decodeE4m3,
  F8_E5M2: decodeE5m2,
};

/** True for the element types that `decodeF32` takes. */
export function isFloat(dtype: TensorDType): boolean {
  return decoders[dtype] !== undefined;
}

/** True for the types whose every value f32 holds: `decodeF32` rounds those of F64. */
export function fitsF32(dtype: TensorDType): boolean {
  return isFloat(dtype) && dtype !== "F64";
}

/**
 * The values of a floating-point tensor as f32, in a fresh array; exact for all types but F64 (rounded to nearest even).
 * Throws `CheckpointError` ("unsupported") for integers and BOOL.
 */
export function decodeF32(tensor: Tensor): Float32Array<ArrayBuffer> {
  const decode = decoders[tensor.dtype];
  if (!decode)
    throw new CheckpointError(
      "unsupported",
      `tensor ${tensor.name} holds ${tensor.dtype}, not floating-point weights; only float models can be used here`,
      { tensor: tensor.name },
    );
  return decode(alignedBytes(tensor.bytes, tensor.dtype));
}

/** As `decodeF32`, to be read only: values that are stored as f32 are not copied. */
export function viewF32(tensor: Tensor): Float32Array<ArrayBuffer> {
  if (tensor.dtype !== "F32") return decodeF32(tensor);
  const bytes = alignedBytes(tensor.bytes, "F32");
  return new Float32Array(bytes.buffer, bytes.byteOffset, nItems(bytes, "F32"));
}
