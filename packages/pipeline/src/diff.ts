import { type Checkpoint, decodeF32, openCheckpoint } from "@safedelta/checkpoint";
import { type Progress, tellOpening } from "./progress.ts";

/** How one tensor differs between two models. */
export interface TensorDiff {
  readonly name: string;
  /** `shape`: cannot be compared. */
  readonly status: "same" | "changed" | "only-first" | "only-second" | "shape";
  /** ‖B − A‖ and ‖B − A‖ / ‖A‖ (Frobenius), the latter Infinity where only A is zero; JSON has null for it and for NaN. */
  readonly norm?: number;
  readonly relative?: number;
  /** Largest |B − A|, and the share of entries that differ. */
  readonly maxAbs?: number;
  readonly changedShare?: number;
  /** Entries that are NaN or infinite in one of them or both; absent when there are none. Norms and maxAbs are not finite then. */
  readonly nNonFinite?: number;
}

/** Compare two models tensor by tensor; one tensor of each is in memory at a time. */
export async function diffModels(
  first: string,
  second: string,
  offline: boolean,
  progress: Progress,
): Promise<TensorDiff[]> {
  await using opened = new AsyncDisposableStack();
  const a = await openCheckpoint(first, { offline, ...tellOpening(progress) });
  opened.defer(() => a.close());
  const b = await openCheckpoint(second, { offline, base: a, ...tellOpening(progress) });
  opened.defer(() => b.close());
  const names = [...new Set([...a.tensors.keys(), ...b.tensors.keys()])];
  progress.stage("comparing", names.length);
  const diffs: TensorDiff[] = [];
  for (const name of names) {
    diffs.push(await diffTensor(a, b, name));
    progress.step(name);
  }
  return diffs;
}

async function diffTensor(a: Checkpoint, b: Checkpoint, name: string): Promise<TensorDiff> {
  const [infoA, infoB] = [a.tensors.get(name), b.tensors.get(name)];
  if (!infoA) return { name, status: "only-second" };
  if (!infoB) return { name, status: "only-first" };
  if (String(infoA.shape) !== String(infoB.shape)) return { name, status: "shape" };
  return { name, ...compareValues(decodeF32(await a.read(name)), decodeF32(await b.read(name))) };
}

function compareValues(x: Float32Array, y: Float32Array): Omit<TensorDiff, "name"> {
  let [squares, base, maxAbs, changed, nNonFinite] = [0, 0, 0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const d = y[i] - x[i];
    squares += d * d;
    base += x[i] * x[i];
    maxAbs = Math.max(maxAbs, Math.abs(d));
    if (!isSame(x[i], y[i])) changed += 1;
    if (!Number.isFinite(d)) nNonFinite += 1;
  }
  const norm = Math.sqrt(squares);
  return {
    status: changed === 0 ? "same" : "changed",
    norm,
    relative: norm === 0 ? 0 : norm / Math.sqrt(base),
    maxAbs,
    changedShare: x.length === 0 ? 0 : changed / x.length,
    ...(nNonFinite > 0 ? { nNonFinite } : {}),
  };
}

/** Equal as numbers; NaN is NaN. */
function isSame(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b));
}
