import { type Checkpoint, decodeF32, openCheckpoint } from "@safedelta/checkpoint";
import { type Progress, tellOpening } from "./progress.ts";

/** How one tensor differs between two models. */
export interface TensorDiff {
  readonly name: string;
  /** `shape`: cannot be compared. */
  readonly status: "same" | "changed" | "only-first" | "only-second" | "shape";
  /** ‖B − A‖ and ‖B − A‖ / ‖A‖ (Frobenius). */
  readonly norm?: number;
  readonly relative?: number;
  /** Largest |B − A|, and the share of entries that differ. */
  readonly maxAbs?: number;
  readonly changedShare?: number;
  /** Entries of either that are NaN or infinite; the norms are NaN then. */
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
  const [x, y] = [decodeF32(await a.read(name)), decodeF32(await b.read(name))];
  let [squares, base, maxAbs, changed, nNonFinite] = [0, 0, 0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const d = y[i] - x[i];
    squares += d * d;
    base += x[i] * x[i];
    if (d !== 0) changed += 1;
    if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) nNonFinite += 1;
    maxAbs = Math.max(maxAbs, Math.abs(d));
  }
  const norm = Math.sqrt(squares);
  const relative = base === 0 ? 0 : norm / Math.sqrt(base);
  return {
    name,
    status: changed === 0 ? "same" : "changed",
    norm,
    relative,
    maxAbs,
    changedShare: x.length === 0 ? 0 : changed / x.length,
    ...(nNonFinite > 0 ? { nNonFinite } : {}),
  };
}
