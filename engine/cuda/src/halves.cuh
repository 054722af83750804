// f16 and bf16 bit patterns to f32 and back, rounding to nearest even; overflow gives infinity, NaN stays NaN.
#ifndef SD_HALVES_CUH
#define SD_HALVES_CUH

#include "port.cuh"

union FloatBits {
  float value;
  unsigned bits;
};

__device__ inline float from_bits(unsigned bits) {
  FloatBits u;
  u.bits = bits;
  return u.value;
}

__device__ inline unsigned to_bits(float value) {
  FloatBits u;
  u.value = value;
  return u.bits;
}

__device__ inline float bf16_to_f32(unsigned short bits) { return from_bits(static_cast<unsigned>(bits) << 16); }

__device__ inline unsigned short f32_to_bf16(float value) {
  const unsigned bits = to_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<unsigned short>((bits >> 16) | 0x40u);
  return static_cast<unsigned short>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

__device__ inline float f16_to_f32(unsigned short half) {
  const unsigned sign = (half & 0x8000u) << 16, exponent = (half >> 10) & 0x1fu, fraction = half & 0x3ffu;
  if (exponent == 0) return from_bits(sign | to_bits(static_cast<float>(fraction) * from_bits(0x33800000u)));  // · 2⁻²⁴, exact
  if (exponent == 31) return from_bits(sign | 0x7f800000u | (fraction << 13));
  return from_bits(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

__device__ inline unsigned short f32_to_f16(float value) {
  const unsigned bits = to_bits(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  unsigned half;
  if (magnitude > 0x7f800000u) half = 0x7e00u | ((magnitude >> 13) & 0x1ffu);
  else if (magnitude >= 0x47800000u) half = 0x7c00u;
  // Subnormal: adding 0.5 lets the f32 adder round to multiples of 2⁻²⁴.
  else if (magnitude < 0x38800000u) half = to_bits(from_bits(magnitude) + 0.5f) - 0x3f000000u;
  else half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  return static_cast<unsigned short>(sign | half);
}

/** Element `at` of an array of the given SD_F32, SD_F16 or SD_BF16. */
__device__ inline float load(const void *m, int dtype, long at) {
  if (dtype == 0) return static_cast<const float *>(m)[at];
  const unsigned short bits = static_cast<const unsigned short *>(m)[at];
  return dtype == 1 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

__device__ inline void store(void *m, int dtype, long at, float value) {
  if (dtype == 0) static_cast<float *>(m)[at] = value;
  else static_cast<unsigned short *>(m)[at] = dtype == 1 ? f32_to_f16(value) : f32_to_bf16(value);
}

#endif
