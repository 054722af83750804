/** How weights are kept: MLC's names. `q0`: as they are; `q4…_1`: four bits in groups of 32 with a scale. */
export const quantNames = ["q0f32", "q0f16", "q4f32_1", "q4f16_1"] as const;

export type QuantName = (typeof quantNames)[number];

/** What a name means. */
export interface Quant {
  readonly name: QuantName;
  /** What the model computes in, and what norms, biases and scales are kept in. */
  readonly dtype: "float32" | "float16";
  /** Are matrices in four bits? */
  readonly packed: boolean;
}

export function quantOf(name: QuantName): Quant {
  return { name, dtype: name.includes("f32") ? "float32" : "float16", packed: name.startsWith("q4") };
}

/** Weights of one row that share a scale (MLC `group_size` of q4f16_1, mlc-llm quantization.py). */
export const groupSize = 32;

/** Four-bit numbers in a u32. */
const nibbles = 8;

/** Steps on either side of zero: four bits hold 0 to 14, 7 standing for zero. */
const most = 7;

/** Numbers a row of `cols` weights takes: u32 words, and scales. */
export function packedCols(cols: number): { readonly words: number; readonly scales: number } {
  const scales = Math.ceil(cols / groupSize);
  return { words: (scales * groupSize) / nibbles, scales };
}

/** Rows in four bits. */
export interface Packed {
  /** rows x words, the first weight of eight in the lowest bits. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** rows x scales; as f32, whatever they are stored in. */
  readonly scales: Float32Array<ArrayBuffer>;
}

/**
 * Group quantisation along the input axis, as MLC's `q4…_1`: scale = max|w|/7 in the model's type,
 * q = clip(round(w/scale + 7), 0, 14), ties away from zero. A group whose scale is 0 is all 7; what is missing of a last group is 0.
 * Scales are rounded to the model's type as MLC does; the division is in f32 for both types, where MLC's own depends on its
 * device, so that a weight half-way between two steps may fall to the other one.
 * @param values rows x cols, row-major, rounded to the model's type
 */
export function packRows(values: Float32Array, rows: number, cols: number, dtype: Quant["dtype"]): Packed {
  const round = dtype === "float16" ? Math.f16round : Math.fround;
  const size = packedCols(cols);
  const words = new Uint32Array(rows * size.words);
  const scales = new Float32Array(rows * size.scales);
  for (let row = 0; row < rows; row++) {
    for (let group = 0; group < size.scales; group++) {
      const start = row * cols + group * groupSize;
      const end = Math.min(start + groupSize, (row + 1) * cols);
      let largest = 0;
      for (let i = start; i < end; i++) largest = Math.max(largest, Math.abs(values[i]));
      const scale = round(largest / most);
      scales[row * size.scales + group] = scale;
      const first = row * size.words + (group * groupSize) / nibbles;
      for (let i = start; i < end; i++) {
        const place = i - start;
        words[first + (place >> 3)] |= stepOf(values[i], scale) << (4 * (place & 7));
      }
    }
  }
  return { words, scales };
}

/** The four bits of a weight, 0 to 14. `Math.round` goes up at .5, which is away from zero since nothing below −½ stays. */
function stepOf(weight: number, scale: number): number {
  if (scale === 0) return most;
  const step = Math.round(Math.fround(Math.fround(weight / scale) + most));
  return Math.min(Math.max(step, 0), 2 * most);
}

/** The weights that four bits and scales stand for: (q − 7) · scale. @returns rows x cols, row-major */
export function unpackRows({ words, scales }: Packed, rows: number, cols: number): Float32Array<ArrayBuffer> {
  const size = packedCols(cols);
  const values = new Float32Array(rows * cols);
  for (let i = 0; i < values.length; i++) {
    const [row, col] = [Math.floor(i / cols), i % cols];
    const step = (words[row * size.words + (col >> 3)] >>> (4 * (col & 7))) & 15;
    values[i] = (step - most) * scales[row * size.scales + Math.floor(col / groupSize)];
  }
  return values;
}
