import { GGMLQuantizationType } from "@huggingface/gguf";
import type { TensorDType } from "../tensor.ts";
import {
  type Dequantise,
  dequantiseQ4_0,
  dequantiseQ4_1,
  dequantiseQ5_0,
  dequantiseQ5_1,
  dequantiseQ8_0,
} from "./dequantise-32.ts";
import { dequantiseQ2_K, dequantiseQ3_K, dequantiseQ4_K, dequantiseQ5_K, dequantiseQ6_K } from "./dequantise-k.ts";

/** How a GGUF tensor type stores weights. */
export interface BlockType {
  /** What a reader of the checkpoint sees. */
  readonly dtype: TensorDType;
  /** Weights in a block, and its bytes. */
  readonly blockSize: number;
  readonly blockBytes: number;
  /** Undefined when the bytes already are `dtype`. */
  readonly dequantise?: Dequantise;
}

const plain = (dtype: TensorDType, blockBytes: number): BlockType => ({ dtype, blockSize: 1, blockBytes });
const blocks = (blockSize: number, blockBytes: number, dequantise: Dequantise): BlockType => ({
  dtype: "F32",
  blockSize,
  blockBytes,
  dequantise,
});

const { F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K } = GGMLQuantizationType;

/** Types read here (sizes: ggml `ggml-common.h`). */
export const blockTypes: ReadonlyMap<GGMLQuantizationType, BlockType> = new Map([
  [F32, plain("F32", 4)],
  [F16, plain("F16", 2)],
  [BF16, plain("BF16", 2)],
  [Q4_0, blocks(32, 18, dequantiseQ4_0)],
  [Q4_1, blocks(32, 20, dequantiseQ4_1)],
  [Q5_0, blocks(32, 22, dequantiseQ5_0)],
  [Q5_1, blocks(32, 24, dequantiseQ5_1)],
  [Q8_0, blocks(32, 34, dequantiseQ8_0)],
  [Q2_K, blocks(256, 84, dequantiseQ2_K)],
  [Q3_K, blocks(256, 110, dequantiseQ3_K)],
  [Q4_K, blocks(256, 144, dequantiseQ4_K)],
  [Q5_K, blocks(256, 176, dequantiseQ5_K)],
  [Q6_K, blocks(256, 210, dequantiseQ6_K)],
]);
