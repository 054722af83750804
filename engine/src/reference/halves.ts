/**
 * The 16-bit storage types: IEEE binary16 (`f16`) and bfloat16 (`bf16`, the upper half of a binary32). Both conversions start
 * from an f32 number and round once, to nearest, ties to even; overflow gives ±Inf and NaN stays NaN.
 */

const f32 = new Float32Array(1);
const f32Bits = new Uint32Array(f32.buffer);
const f16 = new Float16Array(1);
const f16Bits = new Uint16Array(f16.buffer);

/** Bits of the sign and exponent of an infinite binary32; larger magnitudes are NaN. */
const infiniteBits = 0x7f800000;

/** The bfloat16 pattern nearest to the f32 number `value`. */
export function toBf16(value: number): number {
  f32[0] = value;
  const bits = f32Bits[0];
  if ((bits & 0x7fffffff) > infiniteBits) return (bits >>> 16) | 0x40; // quiet NaN: rounding could carry it to Inf
  const tieToEven = 0x7fff + ((bits >>> 16) & 1);
  return ((bits + tieToEven) >>> 16) & 0xffff;
}

/** The number that a bfloat16 pattern stands for. */
export function fromBf16(pattern: number): number {
  f32Bits[0] = pattern << 16;
  return f32[0];
}

/** The binary16 pattern nearest to the f32 number `value`. */
export function toF16(value: number): number {
  f16[0] = Math.fround(value);
  return f16Bits[0];
}

/** The number that a binary16 pattern stands for. */
export function fromF16(pattern: number): number {
  f16Bits[0] = pattern;
  return f16[0];
}
