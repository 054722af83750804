import { expect } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Checkpoint,
  decodeF32,
  encode,
  type Tensor,
  type TensorDType,
  writeSafetensors,
} from "@safedelta/checkpoint";
import { randomTensor } from "./tools.ts";

/** Adapters with their merges, made by PEFT. */
export const fixtures = join(import.meta.dir, "fixtures/peft");
const plainConfig = { peft_type: "LORA", r: 2, lora_alpha: 3 };

/** A base with one 6 x 8 weight `m.weight`, a bias, an embedding and a transposed layer. */
export async function makeBase(folder: string, dtype: TensorDType = "F32", config: object = {}): Promise<Tensor[]> {
  const tensors = [
    randomTensor("m.weight", [6, 8], 1, dtype),
    randomTensor("m.bias", [6], 2, dtype),
    randomTensor("embed.weight", [10, 4], 3, dtype),
    randomTensor("layers.0.q.weight", [6, 8], 4, dtype),
  ];
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  return tensors;
}

/** An adapter of `m`: A [r, cols] and B [rows, r], under PEFT's keys, and further tensors as they are. */
export async function makeAdapter(
  folder: string,
  config: object = {},
  further: Tensor[] = [],
  factors = pairOf("m"),
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const tensors = [...factors, ...further].map((tensor) => ({ ...tensor, name: `base_model.model.${tensor.name}` }));
  await writeSafetensors(join(folder, "adapter_model.safetensors"), tensors);
  await writeFile(join(folder, "adapter_config.json"), JSON.stringify({ ...plainConfig, ...config }));
}

/** A [r, cols] and B [rows, r] of a module. */
export function pairOf(module: string, r = 2, rows = 6, cols = 8, dtype: TensorDType = "F16"): Tensor[] {
  return [
    randomTensor(`${module}.lora_A.weight`, [r, cols], 11, dtype),
    randomTensor(`${module}.lora_B.weight`, [rows, r], 12, dtype),
  ];
}

/** scale · B·A in f64, rows x cols. */
export function product([a, b]: Tensor[], scale: number): number[][] {
  const [av, bv] = [decodeF32(a), decodeF32(b)];
  const [[r, cols], [rows]] = [a.shape, b.shape];
  const at = (i: number, j: number) => {
    let sum = 0;
    for (let k = 0; k < r; k++) sum += bv[i * r + k] * av[k * cols + j];
    return scale * sum;
  };
  return Array.from({ length: rows }, (_, i) => Array.from({ length: cols }, (_, j) => at(i, j)));
}

/** The transpose. */
export const flipped = (m: number[][]) => m[0].map((_, j) => m.map((row) => row[j]));
/** The values of w with a delta added. */
export const plus = (w: Tensor, delta: number[][]) => {
  const flat = delta.flat();
  return Array.from(decodeF32(w), (x, i) => x + flat[i]);
};

/** The merged tensor must be the f64 values rounded once to the tensor's type. */
export async function expectRounded(checkpoint: Checkpoint, name: string, values: number[]): Promise<void> {
  const tensor = await checkpoint.read(name);
  expect(tensor.dtype).toBe(checkpoint.tensors.get(name)?.dtype as TensorDType);
  expect(tensor.bytes).toEqual(encode(Float32Array.from(values), tensor.dtype));
}

export async function expectClose(checkpoint: Checkpoint, name: string, values: number[]): Promise<void> {
  const merged = decodeF32(await checkpoint.read(name));
  const worst = merged.reduce((worst, x, i) => Math.max(worst, Math.abs(x - values[i])), 0);
  expect(worst).toBeLessThan(2 ** -22 * Math.max(...values.map(Math.abs)));
}
