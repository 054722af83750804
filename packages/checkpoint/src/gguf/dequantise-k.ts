/**
 * GGUF "K" super-blocks of 256 weights (ggml `block_q2_K` … `block_q6_K`): sub-blocks with small integer scales under one
 * f16 scale. The products are exact in f64; each value is rounded once, to f32, as in the reference `gguf` package.
 */
import type { Dequantise } from "./dequantise-32.ts";

const blockSize = 256;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** 84 bytes: 16 x (scale, min) nibbles, 64 bytes of 2-bit q, d f16, dmin f16. w = d · scale · q − dmin · min. */
export const dequantiseQ2_K: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0; block < nBlocks; block++, at += 84) {
    const d = view.getFloat16(at + 80, true);
    const dmin = view.getFloat16(at + 82, true);
    for (let sub = 0; sub < 16; sub++) {
      const scale = d * (bytes[at + sub] & 15);
      const min = dmin * (bytes[at + sub] >> 4);
      const from = at + 16 + (sub >> 3) * 32 + (sub & 1) * 16;
      const shift = ((sub >> 1) & 3) * 2;
      const to = block * blockSize + sub * 16;
      for (let i = 0; i < 16; i++) out[to + i] = scale * ((bytes[from + i] >> shift) & 3) - min;
    }
  }
};

/** Scale of a Q3_K sub-block: 6 bits less 32; the low 4 in bytes 0-7, the high 2 in bytes 8-11. */
function scaleQ3(bytes: Uint8Array, at: number, sub: number): number {
  const low = sub < 8 ? bytes[at + sub] & 15 : bytes[at + sub - 8] >> 4;
  const high = (bytes[at + 8 + (sub & 3)] >> (2 * (sub >> 2))) & 3;
  return (low | (high << 4)) - 32;
}

/** 110 bytes: 32 bytes of third bits, 64 of 2-bit q, 12 of scales, d f16. w = d · scale · (q − 4 unless the third bit is set). */
export const dequantiseQ3_K: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0; block < nBlocks; block++, at += 110) {
    const d = view.getFloat16(at + 108, true);
    for (let sub = 0; sub < 16; sub++) {
      const scale = d * scaleQ3(bytes, at + 96, sub);
      const lane = (sub & 1) * 16;
      const from = at + 32 + (sub >> 3) * 32 + lane;
      const shift = ((sub >> 1) & 3) * 2;
      const to = block * blockSize + sub * 16;
      for (let i = 0; i < 16; i++) {
        const third = (bytes[at + lane + i] >> (sub >> 1)) & 1;
        out[to + i] = scale * (((bytes[from + i] >> shift) & 3) - 4 * (1 - third));
      }
    }
  }
};

/** Six-bit scale (kind 0) or min (kind 1) of sub-block 0-7 out of the 12 bytes of Q4_K and Q5_K. */
function scaleOrMin(bytes: Uint8Array, at: number, sub: number, kind: 0 | 1): number {
  if (sub < 4) return bytes[at + 4 * kind + sub] & 63;
  const low = (bytes[at + 4 + sub] >> (4 * kind)) & 15;
  return low | ((bytes[at + 4 * kind + sub - 4] >> 6) << 4);
}

/** 144 bytes: d f16, dmin f16, 12 of scales and mins, 128 of nibbles. w = d · scale · q − dmin · min. */
export const dequantiseQ4_K: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0; block < nBlocks; block++, at += 144) {
    const d = view.getFloat16(at, true);
    const dmin = view.getFloat16(at + 2, true);
    for (let sub = 0; sub < 8; sub++) {
      const scale = d * scaleOrMin(bytes, at + 4, sub, 0);
      const min = dmin * scaleOrMin(bytes, at + 4, sub, 1);
      const from = at + 16 + (sub >> 1) * 32;
      const shift = (sub & 1) * 4;
      const to = block * blockSize + sub * 32;
      for (let i = 0; i < 32; i++) out[to + i] = scale * ((bytes[from + i] >> shift) & 15) - min;
    }
  }
};

/** 176 bytes: as Q4_K with 32 bytes of fifth bits before the nibbles. w = d · scale · q − dmin · min. */
export const dequantiseQ5_K: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0; block < nBlocks; block++, at += 176) {
    const d = view.getFloat16(at, true);
    const dmin = view.getFloat16(at + 2, true);
    for (let sub = 0; sub < 8; sub++) {
      const scale = d * scaleOrMin(bytes, at + 4, sub, 0);
      const min = dmin * scaleOrMin(bytes, at + 4, sub, 1);
      const from = at + 48 + (sub >> 1) * 32;
      const shift = (sub & 1) * 4;
      const to = block * blockSize + sub * 32;
      for (let i = 0; i < 32; i++) {
        const fifth = (bytes[at + 16 + i] >> sub) & 1;
        out[to + i] = scale * (((bytes[from + i] >> shift) & 15) | (fifth << 4)) - min;
      }
    }
  }
};

/** 210 bytes: 128 of low nibbles, 64 of high 2-bit pairs, 16 signed scales, d f16. w = d · scale · (q − 32). */
export const dequantiseQ6_K: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0; block < nBlocks; block++, at += 210) {
    const d = view.getFloat16(at + 208, true);
    for (let sub = 0; sub < 16; sub++) {
      const scale = d * view.getInt8(at + 192 + sub);
      const half = sub >> 3;
      const quarter = (sub >> 1) & 3;
      const lane = (sub & 1) * 16;
      const low = at + half * 64 + (quarter & 1) * 32 + lane;
      const high = at + 128 + half * 32 + lane;
      const to = block * blockSize + sub * 16;
      for (let i = 0; i < 16; i++) {
        const nibble = (bytes[low + i] >> ((quarter >> 1) * 4)) & 15;
        out[to + i] = scale * ((nibble | (((bytes[high + i] >> (quarter * 2)) & 3) << 4)) - 32);
      }
    }
  }
};
