import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointError, encode, type Tensor, type TensorDType } from "@safedelta/checkpoint";

/** A fresh folder that is removed when the scope ends (`await using`). */
export async function tempFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "safedelta-checkpoint-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Reproducible numbers in [-1, 1). */
export function randomValues(n: number, seed: number): Float32Array {
  let state = seed >>> 0 || 1;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export function randomTensor(name: string, shape: number[], seed: number, dtype: TensorDType = "F32"): Tensor {
  const n = shape.reduce((product, size) => product * size, 1);
  return { name, dtype, shape, bytes: encode(randomValues(n, seed), dtype) };
}

/** File name (with folders) -> bytes in base64, of everything below a folder, hidden files included. */
export async function folderBytes(path: string): Promise<Record<string, string>> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const pairs = files
    .sort()
    .map(async (file) => [file.slice(path.length + 1), (await readFile(file)).toString("base64")]);
  return Object.fromEntries(await Promise.all(pairs));
}

/** Runs `work`, which must fail with a `CheckpointError`, and hands the error over. */
export async function failure(work: () => unknown): Promise<CheckpointError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof CheckpointError) return error;
    throw error;
  }
  throw new Error("expected a CheckpointError, but nothing was thrown");
}

/** The shared folder with real models, or undefined where it is absent. */
export function sharedFolder(): string | undefined {
  const path = process.env.SAFEDELTA_SHARED ?? join(import.meta.dir, "../../../shared");
  return existsSync(join(path, "models")) ? path : undefined;
}

export const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
