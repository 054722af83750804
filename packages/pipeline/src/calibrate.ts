import { mkdir, open } from "node:fs/promises";
import type { Checkpoint } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import {
  batchTokens,
  embed,
  type GroupName,
  groupsOfLayer,
  type ModelConfig,
  openWorkspace,
  type PackedBatch,
  packSequences,
} from "@safedelta/model";
import { guardFile } from "./files.ts";
import { hiddenFile, readRows, removeHidden, resumableLayer, writeHidden } from "./hiddenStates.ts";
import type { Progress } from "./progress.ts";
import { type Alike, type Device, devicesFor, openShares, runBatches, sumHessians } from "./shares.ts";

/** A model and where its layer inputs come from. */
export interface CalibrationInput {
  /** With its peers, which take their share of the batches. */
  readonly engine: Engine;
  readonly checkpoint: Checkpoint;
  readonly config: ModelConfig;
  readonly sequences: readonly (readonly number[])[];
  /** How often each token of each sequence counts; undefined: once. */
  readonly weights?: readonly (readonly number[])[];
  /** Folder for the hidden states between layers; its files let an interrupted run go on. */
  readonly workFolder: string;
  /** The consumer still needs this layer (and those after it): hidden states of later ones only are of no use. */
  readonly neededLayer: number;
  readonly progress: Progress;
}

/** The Hessians of one layer, before dead columns and damping. */
export interface CalibratedLayer {
  readonly layer: number;
  /** On the engine itself: upper triangle of (2/n) Σ XᵀX by group, each row of X as often as its token counts; disposed when the consumer asks for the next layer. */
  readonly hessians: ReadonlyMap<GroupName, Matrix>;
}

/**
 * Run the sequences through the model layer by layer and yield each layer's Hessians. Only one layer of weights is in memory;
 * hidden states lie on disk, so memory does not grow with the number of examples. With peers the sums are taken device by device, which
 * changes their last bits. Begins at the first layer whose input is
 * found in the work folder (layer 0 otherwise), so the consumer may see again the layer it had in hand when it was killed.
 */
export async function* calibrate(input: CalibrationInput): AsyncGenerator<CalibratedLayer> {
  const { engine, config, workFolder, neededLayer, sequences } = input;
  await guardFile(workFolder, () => mkdir(workFolder, { recursive: true }));
  const batches = withWeights(packSequences(sequences), input.weights);
  const found = await resumableLayer(workFolder);
  let layer = found !== undefined && found <= neededLayer ? found : 0;
  if (layer !== found) await writeEmbeddings(input, batches);
  for (let done = 0; done < layer * batches.length; done++) input.progress.step(`layer ${layer}`);
  using owned = new DisposableStack();
  const capacity = Math.max(batchTokens, ...batches.map((batch) => batch.nRows));
  const devices = devicesFor(engine, batches.length).map((engine) => {
    return { engine, workspace: owned.use(openWorkspace(engine, config, capacity)) };
  });
  for (; layer < config.nLayers; layer++) {
    const hessians = new Map<GroupName, Matrix>();
    try {
      for (const group of groupsOfLayer(config, layer)) hessians.set(group.name, engine.alloc(group.cols, group.cols));
      await runLayer(input, devices, layer, batches, hessians);
      yield { layer, hessians };
    } finally {
      for (const hessian of hessians.values()) hessian[Symbol.dispose]();
    }
    await removeHidden(workFolder, layer);
  }
}

/** Sequences that go through a layer together, and which of their rows count alike where these differ. */
interface WeightedBatch extends PackedBatch {
  readonly alike?: readonly Alike[];
}

function withWeights(batches: readonly PackedBatch[], weights: CalibrationInput["weights"]): readonly WeightedBatch[] {
  const all = weights?.flat();
  if (all === undefined) return batches;
  return batches.map((batch) => ({
    ...batch,
    alike: alikeOf(all.slice(batch.firstRow, batch.firstRow + batch.nRows)),
  }));
}

function alikeOf(weights: readonly number[]): Alike[] {
  const different = [...new Set(weights)].filter((weight) => weight > 0);
  return different.map((weight) => {
    const places = weights.flatMap((other, row) => (other === weight ? [row] : []));
    return { weight, places: Int32Array.from(places) };
  });
}

/** Bytes that the hidden states need on disk at most. */
export function hiddenStateBytes(config: ModelConfig, nTokens: number): number {
  return 2 * 4 * nTokens * config.hiddenSize;
}

/** Steps that one layer takes. */
export function nBatches(sequences: readonly (readonly number[])[]): number {
  return packSequences(sequences).length;
}

async function writeEmbeddings(input: CalibrationInput, batches: readonly PackedBatch[]): Promise<void> {
  const { engine, checkpoint, config, workFolder } = input;
  await writeHidden(workFolder, 0, async (write) => {
    for (const batch of batches) {
      using x = await embed(engine, checkpoint, config, batch.ids);
      await write(engine.read(x) as Float32Array, batch.firstRow * config.hiddenSize);
    }
  });
}

async function runLayer(
  input: CalibrationInput,
  devices: readonly Device[],
  layer: number,
  batches: readonly WeightedBatch[],
  hessians: ReadonlyMap<GroupName, Matrix>,
): Promise<void> {
  const { config, workFolder, sequences, progress } = input;
  using owned = new DisposableStack();
  const shares = await openShares(input, devices, layer, hessians, input.weights !== undefined, owned);
  const source = await open(hiddenFile(workFolder, layer), "r");
  try {
    await writeHidden(workFolder, layer + 1, (write) => {
      const read = (batch: PackedBatch) => readRows(source, batch, config.hiddenSize);
      return runBatches(shares, batches, sequences.length, read, async (batch, rows) => {
        await write(rows, batch.firstRow * config.hiddenSize);
        progress.step(`layer ${layer}`);
      });
    });
  } finally {
    await source.close();
  }
  sumHessians(shares);
}
