import { join } from "node:path";
import { openSafetensors } from "@safedelta/checkpoint";
import type { GroupName } from "@safedelta/model";
import type { Progress } from "./progress.ts";
import { layerFolder, openState } from "./state.ts";

/** How unevenly the safe behaviour depends on the inputs of one group: quantiles of its sensitivities, ascending. */
export interface GroupSpectrum {
  readonly layer: number;
  readonly group: GroupName;
  /** Eigenvalues of the damped Hessian, or 1/[H⁻¹]_jj by column; whichever the state holds, the eigenvalues first. */
  readonly kind: "eigenvalues" | "columns";
  readonly nValues: number;
  /** Evenly spaced, first and last included, in units of the mean. */
  readonly quantiles: readonly number[];
}

/** A state's sensitivities, and its hash, by which a repair names it. */
export interface StateSpectra {
  readonly sha256: string;
  readonly spectra: readonly GroupSpectrum[];
}

const tensors = { eigenvalues: "eigenvalues", columns: "sensitivity" } as const;

/**
 * Read the sensitivities that a state keeps; groups of which it keeps none (those of `reference`, or wide ones of `optimal`) are left out.
 * @param nQuantiles at most so many numbers a group, 2 or more
 * @throws as `openState`; CheckpointError for a file that is damaged
 */
export async function readSpectra(folder: string, nQuantiles: number, progress: Progress): Promise<StateSpectra> {
  const { manifest, sha256 } = await openState(folder);
  progress.stage("reading sensitivities", manifest.layers.length);
  const spectra: GroupSpectrum[] = [];
  for (const [layer, { groups }] of manifest.layers.entries()) {
    for (const { name } of groups) {
      const found = await readGroup(join(layerFolder(folder, layer), `${name}.safetensors`), nQuantiles);
      if (found) spectra.push({ layer, group: name, ...found });
    }
    progress.step(`layer ${layer}`);
  }
  return { sha256, spectra };
}

async function readGroup(path: string, nQuantiles: number) {
  const file = await openSafetensors(path);
  try {
    for (const kind of ["eigenvalues", "columns"] as const) {
      if (!file.tensors.has(tensors[kind])) continue;
      const { bytes } = await file.read(tensors[kind]);
      const values = new Float64Array(bytes.slice().buffer);
      return { kind, nValues: values.length, quantiles: quantilesOf(values, nQuantiles) };
    }
    return undefined;
  } finally {
    await file.close();
  }
}

/** Evenly spaced values of a sorted array in units of its mean, first and last included. */
function quantilesOf(sorted: Float64Array, n: number): number[] {
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const count = Math.min(n, sorted.length);
  return Array.from(
    { length: count },
    (_, i) => sorted[Math.round((i * (sorted.length - 1)) / Math.max(1, count - 1))] / mean,
  );
}
