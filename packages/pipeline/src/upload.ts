import {
  encode,
  firstNonFinite,
  fitsF32,
  isWritable,
  requireFinite,
  type Tensor,
  type TensorDType,
  type TensorInfo,
  viewF32,
  writableTypes,
} from "@safedelta/checkpoint";
import { make } from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { PipelineError } from "./errors.ts";

/** @throws PipelineError `incompatible` for F64, whose values f32, the arithmetic of all repairs, would round */
export function requireExactType({ name, dtype }: TensorInfo, source: string): void {
  if (fitsF32(dtype)) return;
  throw new PipelineError(
    "incompatible",
    `${source}: ${name} is stored as ${dtype}, and repairs are computed in F32. Save the model in ${writableTypes.join(", ")}.`,
  );
}

/** @throws PipelineError `incompatible` for a type that a repair cannot be written in */
export function requireWritableType({ name, dtype }: TensorInfo, source: string): void {
  if (isWritable(dtype)) return;
  throw new PipelineError(
    "incompatible",
    `${source}: ${name} is stored as ${dtype}; a repair is written as ${writableTypes.join(", ")}. ` +
      "Save the aligned model in one of these, for example with transformers' torch_dtype.",
  );
}

/**
 * A two-dimensional tensor in engine memory, widened to f32.
 * @throws CheckpointError for NaN or Inf; PipelineError `incompatible` when it is no matrix
 */
export function uploadF32(engine: Engine, tensor: Tensor, source: string): Matrix {
  const [rows, cols] = tensor.shape;
  if (tensor.shape.length !== 2) {
    throw new PipelineError(
      "incompatible",
      `${source}: ${tensor.name} has the shape [${tensor.shape}]; a matrix is needed.`,
    );
  }
  requireFinite(tensor, source);
  return make(engine, rows, cols, (matrix) => engine.write(matrix, viewF32(tensor)));
}

/**
 * Bytes of m (f32) in a file's storage type, rounded to nearest even.
 * @throws PipelineError as `encodeFinite`
 */
export function downloadAs(engine: Engine, m: Matrix, dtype: TensorDType, name: string): Uint8Array {
  const values = engine.read(m) as Float32Array;
  return dtype === "F32" ? bytesOf(values) : encodeFinite(values, dtype, name);
}

/**
 * Finite values in a storage type, rounded to nearest even.
 * @throws PipelineError `incompatible` for a value that the type turns into infinity (F16: from 65520 on)
 */
export function encodeFinite(values: Float32Array, dtype: TensorDType, name: string): Uint8Array {
  const bytes = encode(values, dtype);
  const index = firstNonFinite({ name, dtype, shape: [values.length], bytes });
  if (index < 0) return bytes;
  throw new PipelineError(
    "incompatible",
    `${name}: ${values[index]} at element ${index} is too large for ${dtype}, the type it is to be stored in. ` +
      "Give the aligned model (or the adapter) in BF16 or F32.",
  );
}

/** The bytes under a typed array. */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
