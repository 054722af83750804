import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { decodeF32, openSafetensors } from "@safedelta/checkpoint";
import type { DType, Engine, Matrix } from "@safedelta/engine";
import { type Plain, plainOf } from "../support/plain.ts";
import { largest } from "./linears.ts";

/** The shared golden vectors: what the official code and f64 formulas give for small linears (see their README). */

const folder = join(process.env.SAFEDELTA_SHARED ?? resolve(import.meta.dir, "../../../shared"), "golden");

/** Why the golden tests cannot run here, or undefined when they can. */
export const goldenAbsent = existsSync(join(folder, "manifest.json"))
  ? undefined
  : "no shared golden vectors here: set SAFEDELTA_SHARED";

/** One case as the manifest describes it. */
export interface GoldenCase {
  readonly name: string;
  readonly file: string;
  readonly rows: number;
  readonly cols: number;
  readonly s: number;
  readonly dtype: "float32" | "float16" | "bfloat16";
  readonly full_loss: number;
  readonly reference: {
    readonly loss: number;
    readonly selected: number;
    readonly blocks: readonly { limit: number; spent: number }[];
  };
  readonly exact: { readonly loss_share: number; readonly kept_columns: number; readonly loss: number };
  readonly optimal: {
    readonly loss_share: number;
    readonly strength: number;
    readonly loss: number;
    readonly utility_gap: number;
  };
}

export const goldenCases: readonly GoldenCase[] = goldenAbsent
  ? []
  : JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")).cases;

/** Our name of a case's storage type. */
export const storageOf: Record<GoldenCase["dtype"], DType> = { float32: "f32", float16: "f16", bfloat16: "bf16" };

/** The tensors of one case; f64 ones keep their precision. */
export interface GoldenTensors {
  has(name: string): boolean;
  /** A float tensor. */
  plain(name: string): Plain;
  /** An integer tensor, flat. */
  integers(name: string): Int32Array | Uint8Array;
}

export async function readGolden({ file }: GoldenCase): Promise<GoldenTensors> {
  const source = await openSafetensors(join(folder, file));
  const tensors = new Map(
    await Promise.all([...source.tensors.keys()].map(async (name) => [name, await source.read(name)] as const)),
  );
  await source.close();
  const get = (name: string) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${file} holds no ${name}`);
    return tensor;
  };
  return {
    has: (name) => tensors.has(name),
    plain(name) {
      const tensor = get(name);
      const [rows, cols] = tensor.shape.length === 2 ? tensor.shape : [1, tensor.shape[0]];
      const wide = tensor.dtype === "F64" ? new Float64Array(tensor.bytes.slice().buffer) : decodeF32(tensor);
      return plainOf(rows, cols, wide);
    },
    integers(name) {
      const { dtype, bytes } = get(name);
      return dtype === "U8" ? bytes.slice() : new Int32Array(bytes.slice().buffer);
    },
  };
}

/** The mask of a case, one byte an entry. */
export function unpackMask(packed: ArrayLike<number>, rows: number, cols: number): Uint8Array {
  const rowBytes = Math.ceil(cols / 8);
  return Uint8Array.from({ length: rows * cols }, (_, at) => {
    const [i, j] = [Math.floor(at / cols), at % cols];
    return (packed[i * rowBytes + (j >> 3)] >> (j & 7)) & 1;
  });
}

/** Largest |m − expected|, taken in the engine so that an f64 engine is not rounded first. */
export function distanceTo(engine: Engine, m: Matrix, expected: Plain): number {
  using rest = engine.alloc(m.rows, m.cols);
  using part = engine.alloc(m.rows, m.cols);
  engine.convert(m, rest);
  const high = Float32Array.from(expected.values);
  const low = Float32Array.from(expected.values, (value, i) => value - high[i]);
  for (const values of [high, low]) {
    engine.write(part, values);
    engine.add(-1, part, rest);
  }
  return largest(plainOf(m.rows, m.cols, engine.read(rest)));
}
