/** What a page can use of this package: tensors as they are, without files. */
export type { Checkpoint } from "./checkpoint.ts";
export { decodeF32, isFloat } from "./decode.ts";
export { encode } from "./encode.ts";
export { CheckpointError } from "./errors.ts";
export { requireFinite } from "./finite.ts";
export type { Tensor, TensorInfo } from "./tensor.ts";
