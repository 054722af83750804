/**
 * GGUF blocks of 32 weights (ggml `block_q4_0` … `block_q8_0`): one scale a block, often an offset. The products here are
 * exact in f64, so that each value is rounded once, to f32, as in the reference `gguf` package.
 */

/** Turns `nBlocks` blocks into `nBlocks` x block-size values. */
export type Dequantise = (bytes: Uint8Array, nBlocks: number, out: Float32Array) => void;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** 18 bytes: d f16, 16 bytes of nibbles (low ones first). w = d · (q − 8). */
export const dequantiseQ4_0: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 18, to += 32) {
    const d = view.getFloat16(at, true);
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 2 + i];
      out[to + i] = d * ((q & 15) - 8);
      out[to + 16 + i] = d * ((q >> 4) - 8);
    }
  }
};

/** 20 bytes: d f16, m f16, 16 bytes of nibbles. w = d · q + m. */
export const dequantiseQ4_1: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 20, to += 32) {
    const d = view.getFloat16(at, true);
    const m = view.getFloat16(at + 2, true);
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 4 + i];
      out[to + i] = d * (q & 15) + m;
      out[to + 16 + i] = d * (q >> 4) + m;
    }
  }
};

/** 22 bytes: d f16, fifth bits u32, 16 bytes of nibbles. w = d · (q − 16). */
export const dequantiseQ5_0: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 22, to += 32) {
    const d = view.getFloat16(at, true);
    const high = view.getUint32(at + 2, true);
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 6 + i];
      out[to + i] = d * (((q & 15) | (((high >>> i) & 1) << 4)) - 16);
      out[to + 16 + i] = d * (((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16);
    }
  }
};

/** 24 bytes: d f16, m f16, fifth bits u32, 16 bytes of nibbles. w = d · q + m. */
export const dequantiseQ5_1: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 24, to += 32) {
    const d = view.getFloat16(at, true);
    const m = view.getFloat16(at + 2, true);
    const high = view.getUint32(at + 4, true);
    for (let i = 0; i < 16; i++) {
      const q = bytes[at + 8 + i];
      out[to + i] = d * ((q & 15) | (((high >>> i) & 1) << 4)) + m;
      out[to + 16 + i] = d * ((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) + m;
    }
  }
};

/** 34 bytes: d f16, 32 signed bytes. w = d · q. */
export const dequantiseQ8_0: Dequantise = (bytes, nBlocks, out) => {
  const view = viewOf(bytes);
  for (let block = 0, at = 0, to = 0; block < nBlocks; block++, at += 34, to += 32) {
    const d = view.getFloat16(at, true);
    for (let i = 0; i < 32; i++) out[to + i] = d * view.getInt8(at + 2 + i);
  }
};
