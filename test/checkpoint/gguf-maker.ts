/** A writer of small GGUF files (version 3, little-endian), after ggml's docs/gguf.md; it shares no code with the reader. */

export type GgufValue = number | string | boolean | string[] | number[];

export interface GgufTensorSpec {
  readonly name: string;
  /** Rows first, as in the reader. */
  readonly shape: readonly number[];
  /** ggml type number. */
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** ggml type numbers. */
export const ggml = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q5_0: 6,
  Q5_1: 7,
  Q8_0: 8,
  Q2_K: 10,
  Q3_K: 11,
  Q4_K: 12,
  Q5_K: 13,
  Q6_K: 14,
  IQ4_NL: 20,
  BF16: 30,
} as const;

const alignment = 32;
const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };

const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
const u64 = (value: number) => new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
const f32 = (value: number) => new Uint8Array(new Float32Array([value]).buffer);
const text = (value: string): Uint8Array[] => {
  const bytes = new TextEncoder().encode(value);
  return [u64(bytes.length), bytes];
};

function valueParts(value: GgufValue): Uint8Array[] {
  if (typeof value === "string") return [u32(valueTypes.string), ...text(value)];
  if (typeof value === "boolean") return [u32(valueTypes.bool), new Uint8Array([Number(value)])];
  if (typeof value === "number")
    return Number.isInteger(value) ? [u32(valueTypes.u32), u32(value)] : [u32(valueTypes.f32), f32(value)];
  const strings = typeof value[0] === "string";
  const items = value.flatMap((item) => (typeof item === "string" ? text(item) : [u32(item)]));
  return [u32(valueTypes.array), u32(strings ? valueTypes.string : valueTypes.i32), u64(value.length), ...items];
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const padded = (bytes: Uint8Array) => concat([bytes, new Uint8Array(-bytes.length & (alignment - 1))]);

export function makeGguf(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensorSpec[],
): Uint8Array {
  const pairs = Object.entries(metadata);
  const parts: Uint8Array[] = [new TextEncoder().encode("GGUF"), u32(3), u64(tensors.length), u64(pairs.length)];
  for (const [key, value] of pairs) parts.push(...text(key), ...valueParts(value));
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    parts.push(...text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(type), u64(offset));
    offset += padded(bytes).length;
  }
  return concat([padded(concat(parts)), ...tensors.map(({ bytes }) => padded(bytes))]);
}

const hidden = 8;
const inner = 16;

function numbers(shape: readonly number[], seed: number): Uint8Array {
  const n = shape.reduce((product, size) => product * size, 1);
  return new Uint8Array(Float32Array.from({ length: n }, (_, i) => Math.fround(Math.sin(i + seed))).buffer);
}

/** The tensors of a one-layer model with 2 heads of 4, 1 key/value head and 6 tokens, all F32. */
export function tinyTensors(): GgufTensorSpec[] {
  const shapes: Record<string, number[]> = {
    "token_embd.weight": [6, hidden],
    "blk.0.attn_norm.weight": [hidden],
    "blk.0.attn_q.weight": [8, hidden],
    "blk.0.attn_k.weight": [4, hidden],
    "blk.0.attn_v.weight": [4, hidden],
    "blk.0.attn_output.weight": [hidden, 8],
    "blk.0.ffn_norm.weight": [hidden],
    "blk.0.ffn_gate.weight": [inner, hidden],
    "blk.0.ffn_up.weight": [inner, hidden],
    "blk.0.ffn_down.weight": [hidden, inner],
    "output_norm.weight": [hidden],
  };
  return Object.entries(shapes).map(([name, shape], i) => ({ name, shape, type: ggml.F32, bytes: numbers(shape, i) }));
}

/** A header that goes with `tinyTensors`. */
export function tinyMetadata(architecture = "llama"): Record<string, GgufValue> {
  return {
    "general.architecture": architecture,
    [`${architecture}.block_count`]: 1,
    [`${architecture}.context_length`]: 64,
    [`${architecture}.embedding_length`]: hidden,
    [`${architecture}.feed_forward_length`]: inner,
    [`${architecture}.attention.head_count`]: 2,
    [`${architecture}.attention.head_count_kv`]: 1,
    [`${architecture}.attention.layer_norm_rms_epsilon`]: 1e-6,
    [`${architecture}.rope.freq_base`]: 500000,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ["<s>", "</s>", "<user>", "a", "b", "ab"],
    "tokenizer.ggml.token_type": [3, 3, 4, 1, 1, 1],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.eos_token_id": 1,
  };
}
