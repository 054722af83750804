import { fitsF32 } from "./decode.ts";
import { CheckpointError } from "./errors.ts";
import type { TensorDType } from "./tensor.ts";

/** bf16 is the upper half of an f32; adding half a unit, less one when already even, rounds to nearest even. */
function encodeBf16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const b = bits[i];
    const nan = (b & 0x7fffffff) > 0x7f800000;
    out[i] = nan ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return out;
}

const encoders: Partial<Record<TensorDType, (values: Float32Array) => ArrayBufferView<ArrayBuffer>>> = {
  F64: (values) => new Float64Array(values),
  F32: (values) => new Float32Array(values),
  F16: (values) => new Float16Array(values),
  BF16: encodeBf16,
};

/** The types that weights computed in f32 can be read from and written in without losing a bit of those that stay as they are. */
export const writableTypes: readonly TensorDType[] = (Object.keys(encoders) as TensorDType[]).filter(fitsF32);

/** Whether a repair can be written in this type. */
export function isWritable(dtype: TensorDType): boolean {
  return writableTypes.includes(dtype);
}

/**
 * Stores f32 values as `dtype`, little-endian, in fresh bytes. BF16 and F16 round to nearest even (too large becomes
 * infinity, as in PyTorch). Throws `CheckpointError` ("unsupported") for types that weights are not written in here.
 */
export function encode(values: Float32Array, dtype: TensorDType): Uint8Array<ArrayBuffer> {
  const encoder = encoders[dtype];
  if (!encoder)
    throw new CheckpointError("unsupported", `weights cannot be written as ${dtype}; use F32, BF16, F16 or F64`);
  const out = encoder(values);
  return new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
}
