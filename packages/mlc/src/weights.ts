import { type Checkpoint, decodeF32, encode, nElements, requireFinite } from "@safedelta/checkpoint";
import { MlcError } from "./errors.ts";
import { packRows, type Quant } from "./quantisation.ts";
import type { MlcRecord, Planned } from "./records.ts";

/** Numbers that are read, turned and written at a time: 16 MiB as f32. */
const blockNumbers = 2 ** 22;

/** Bytes of a record from `offset` on. */
export interface Piece {
  readonly record: MlcRecord;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * The bytes of a tensor's records, a block of rows at a time; those of one record are in order.
 * @throws CheckpointError for a tensor that cannot be read or holds NaN or infinity; MlcError for a number that f16 cannot hold
 */
export async function* piecesOf(checkpoint: Checkpoint, { tensor, records }: Planned, quant: Quant) {
  const cols = tensor.shape[1] ?? 1;
  const written = records.map(() => 0);
  for (const source of tensor.sources) {
    for await (const block of blocksOf(checkpoint, source, cols)) {
      const values = rounded(block, tensor.plus, quant.dtype, source);
      const parts = stored(values, cols, records, quant);
      for (const [i, record] of records.entries()) {
        yield { record, offset: written[i], bytes: parts[i] } satisfies Piece;
        written[i] += parts[i].byteLength;
      }
    }
  }
}

/** The values of a tensor as f32, in blocks of whole rows of `cols`. */
async function* blocksOf(checkpoint: Checkpoint, name: string, cols: number): AsyncGenerator<Float32Array> {
  const rows = nElements(checkpoint.tensors.get(name)?.shape ?? []) / cols;
  const most = Math.max(1, Math.floor(blockNumbers / cols));
  for (let row = 0; row < rows; row += most) {
    const tensor = await checkpoint.readRows(name, row, Math.min(most, rows - row));
    requireFinite(tensor, checkpoint.spec);
    yield decodeF32(tensor);
  }
}

/** In the model's type, as f32. @throws MlcError where f16 overflows */
function rounded(values: Float32Array, plus: 0 | 1, dtype: Quant["dtype"], name: string): Float32Array {
  const moved = plus === 0 ? values : values.map((value) => value + plus);
  if (dtype === "float32") return moved;
  const halves = new Float32Array(new Float16Array(moved));
  const lost = halves.findIndex((value) => !Number.isFinite(value));
  if (lost < 0) return halves;
  throw new MlcError([
    `Tensor ${name} holds ${moved[lost]}, and f16 ends at 65504. Export as q0f32 or q4f32_1, which compute in f32.`,
  ]);
}

/** The bytes of a block for each record. */
function stored(values: Float32Array, cols: number, records: readonly MlcRecord[], quant: Quant): Uint8Array[] {
  if (records.length === 1) return [floatBytes(values, records[0])];
  const { words, scales } = packRows(values, values.length / cols, cols, quant.dtype);
  return [new Uint8Array(words.buffer), floatBytes(scales, records[1])];
}

function floatBytes(values: Float32Array, { dtype, format }: MlcRecord): Uint8Array {
  if (format === "f32-to-bf16") return encode(values, "BF16");
  return encode(values, dtype === "float16" ? "F16" : "F32");
}
