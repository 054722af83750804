import { alignedBytes } from "./decode.ts";
import { CheckpointError } from "./errors.ts";
import type { Tensor } from "./tensor.ts";

/** First half-word whose bits under `mask` are all set (an IEEE exponent of ones: NaN or infinity), or -1. */
function firstIn16(words: Uint16Array, mask: number): number {
  for (let i = 0; i < words.length; i++) if ((words[i] & mask) === mask) return i;
  return -1;
}

/** The same for words, of which every `step`-th holds an exponent, from `start`; a function a type is four times as fast. */
function firstIn32(words: Uint32Array, mask: number, start: number, step: number): number {
  for (let i = start; i < words.length; i += step) if ((words[i] & mask) === mask) return (i - start) / step;
  return -1;
}

/**
 * Index of the first NaN or infinity of a float tensor in row-major order, or -1. Integer tensors have none.
 * Looks at the exponent bits only, so no value is converted.
 */
export function firstNonFinite(tensor: Tensor): number {
  const bytes = alignedBytes(tensor.bytes, tensor.dtype);
  const view16 = () => new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const view32 = () => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  switch (tensor.dtype) {
    case "F32":
      return firstIn32(view32(), 0x7f800000, 0, 1);
    case "F16":
      return firstIn16(view16(), 0x7c00);
    case "BF16":
      return firstIn16(view16(), 0x7f80);
    case "F64":
      return firstIn32(view32(), 0x7ff00000, 1, 2);
    case "F8_E4M3":
      return bytes.findIndex((byte) => (byte & 0x7f) === 0x7f);
    case "F8_E5M2":
      return bytes.findIndex((byte) => (byte & 0x7c) === 0x7c);
    default:
      return -1;
  }
}

/** Throws `CheckpointError` ("format") when a float tensor holds a NaN or an infinity; names file, tensor and position. */
export function requireFinite(tensor: Tensor, file: string): void {
  const index = firstNonFinite(tensor);
  if (index < 0) return;
  throw new CheckpointError(
    "format",
    `${file}: tensor ${tensor.name} (${tensor.dtype}, [${tensor.shape}]) holds NaN or infinity at element ${index}; ` +
      "the checkpoint is damaged or was saved from a diverged run: use another one",
    { file, tensor: tensor.name },
  );
}
