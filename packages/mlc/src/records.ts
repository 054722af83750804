import { nElements, type TensorInfo } from "@safedelta/checkpoint";
import { MlcError } from "./errors.ts";
import type { MlcTensor } from "./layout.ts";
import { packedCols, type Quant } from "./quantisation.ts";

/** A tensor of tensor-cache.json without its place. */
export interface MlcRecord {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: "float32" | "float16" | "uint32";
  /** `f32-to-bf16`: the bytes are bf16, widened when loaded. */
  readonly format: "raw" | "f32-to-bf16";
  readonly nbytes: number;
}

const itemBytes = { float32: 4, float16: 2, uint32: 4 } as const;

/** A layout tensor with the records that it becomes: itself, or four bits and scales. */
export interface Planned {
  readonly tensor: MlcTensor;
  readonly records: readonly MlcRecord[];
}

/**
 * How a tensor is stored. f32 goes as bf16 only where that loses nothing, that is for tensors that are bf16 in the model's files:
 * MLC does it always, which would round the weights of an f32 model.
 * @throws MlcError when a source is missing
 */
export function planTensor(tensor: MlcTensor, quant: Quant, files: ReadonlyMap<string, TensorInfo>): Planned {
  const { module, kind, shape, sources, plus } = tensor;
  if (quant.packed && kind === "weight" && shape.length === 2) {
    const [rows, cols] = shape;
    const { words, scales } = packedCols(cols);
    const records = [
      record(`${module}.q_weight`, [rows, words], "uint32"),
      record(`${module}.q_scale`, [rows, scales], quant.dtype),
    ];
    return { tensor, records };
  }
  const exact = plus === 0 && sources.every((name) => files.get(name)?.dtype === "BF16");
  const format = quant.dtype === "float32" && exact ? "f32-to-bf16" : "raw";
  return { tensor, records: [record(`${module}.${kind}`, shape, quant.dtype, format)] };
}

function record(
  name: string,
  shape: readonly number[],
  dtype: MlcRecord["dtype"],
  format: MlcRecord["format"] = "raw",
): MlcRecord {
  return { name, shape, dtype, format, nbytes: nElements(shape) * (format === "raw" ? itemBytes[dtype] : 2) };
}

/** A record with its place. */
export interface PlacedRecord extends MlcRecord {
  readonly byteOffset: number;
}

/** One file of weights. */
export interface MlcShard {
  readonly dataPath: string;
  readonly nbytes: number;
  readonly records: readonly PlacedRecord[];
}

/** Most bytes of a shard, unless one tensor is larger: what MLC writes and browsers cache well. */
export const maxShardBytes = 2 ** 25;

/**
 * Fill files in the order given. A record that no longer fits goes alone when it is half a file or more (the open file goes on
 * after it), else it opens the next file; as TVM's tensor cache does.
 * @throws MlcError when a name occurs twice
 */
export function planMlcShards(records: readonly MlcRecord[], limit = maxShardBytes): MlcShard[] {
  const files: MlcRecord[][] = [];
  let [open, openBytes] = [[] as MlcRecord[], 0];
  const seen = new Set<string>();
  for (const record of records) {
    if (seen.has(record.name)) throw new MlcError([`Tensor ${record.name} occurs twice.`]);
    seen.add(record.name);
    const fits = openBytes + record.nbytes <= limit;
    if (!fits && 2 * record.nbytes >= limit) {
      files.push([record]);
      continue;
    }
    if (!fits) {
      files.push(open);
      [open, openBytes] = [[], 0];
    }
    open.push(record);
    openBytes += record.nbytes;
  }
  if (open.length > 0) files.push(open);
  return files.map(placed);
}

function placed(records: readonly MlcRecord[], number: number): MlcShard {
  let nbytes = 0;
  const withPlaces = records.map((record) => {
    const byteOffset = nbytes;
    nbytes += record.nbytes;
    return { ...record, byteOffset };
  });
  return { dataPath: `params_shard_${number}.bin`, nbytes, records: withPlaces };
}
