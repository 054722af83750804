import { type Checkpoint, encode, firstNonFinite, type Tensor, type TensorDType } from "@safedelta/checkpoint";
import type { DType, Engine, Matrix } from "@safedelta/engine";
import { PipelineError } from "./errors.ts";

/** Storage types that both a file and an engine know. */
const engineDTypes: Partial<Record<TensorDType, DType>> = { F32: "f32", F16: "f16", BF16: "bf16" };

/**
 * A two-dimensional tensor in engine memory, widened to f32.
 * @throws PipelineError `incompatible` for NaN or Inf, and for types that hold no weights
 */
export function uploadF32(engine: Engine, tensor: Tensor, source: string): Matrix {
  const dtype = engineDTypes[tensor.dtype];
  if (!dtype || tensor.shape.length !== 2) {
    throw new PipelineError(
      "incompatible",
      `${source}: ${tensor.name} is ${tensor.dtype} [${tensor.shape}], not a weight matrix.`,
    );
  }
  requireFinite(tensor, source);
  const [rows, cols] = tensor.shape;
  const buffer = tensor.bytes.slice().buffer;
  const values = dtype === "f32" ? new Float32Array(buffer) : new Uint16Array(buffer);
  const stored = engine.alloc(rows, cols, dtype);
  engine.write(stored, values);
  if (dtype === "f32") return stored;
  const wide = engine.alloc(rows, cols);
  engine.convert(stored, wide);
  stored[Symbol.dispose]();
  return wide;
}

/** @throws PipelineError `incompatible` naming the first NaN or Inf */
export function requireFinite(tensor: Tensor, source: string): void {
  const at = firstNonFinite(tensor);
  if (at < 0) return;
  const cols = tensor.shape.at(-1) ?? 1;
  throw new PipelineError(
    "incompatible",
    `${source}: ${tensor.name} holds NaN or Inf at row ${Math.floor(at / cols)}, column ${at % cols}. ` +
      "The file is damaged or its training diverged; nothing was written.",
  );
}

/** Bytes of m (f32) in a file's storage type, rounded to nearest even. */
export function downloadAs(engine: Engine, m: Matrix, dtype: TensorDType): Uint8Array {
  const stored = engineDTypes[dtype];
  if (!stored) return encode(engine.read(m) as Float32Array, dtype);
  if (stored === "f32") return bytesOf(engine.read(m));
  using narrow = engine.alloc(m.rows, m.cols, stored);
  engine.convert(m, narrow);
  return bytesOf(engine.read(narrow));
}

/** The bytes under a typed array. */
export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Read, check and upload one weight matrix. */
export async function uploadWeight(engine: Engine, checkpoint: Checkpoint, name: string): Promise<Matrix> {
  return uploadF32(engine, await checkpoint.read(name), checkpoint.spec);
}
