import { mkdir, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, nodeDisk } from "@safedelta/checkpoint";
import { accumulate } from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import {
  embed,
  forwardLayer,
  type GroupName,
  groupsOfLayer,
  loadLayer,
  type ModelConfig,
  openWorkspace,
  packSegments,
  type Segment,
  type Workspace,
} from "@safedelta/model";
import { guardFile, removeQuietly, sha256OfFile } from "./files.ts";
import type { Progress } from "./progress.ts";
import { writeDurably } from "./workFolder.ts";

/** Tokens that go through a layer at once: enough for full speed, small enough for the work matrices. */
export const batchTokens = 512;

/** A model and where its layer inputs come from. */
export interface CalibrationInput {
  readonly engine: Engine;
  readonly checkpoint: Checkpoint;
  readonly config: ModelConfig;
  readonly sequences: readonly (readonly number[])[];
  /** Folder for the hidden states between layers; its files let an interrupted run go on. */
  readonly workFolder: string;
  /** The consumer still needs this layer (and those after it): hidden states of later ones only are of no use. */
  readonly neededLayer: number;
  readonly progress: Progress;
}

/** The Hessians of one layer, before dead columns and damping. */
export interface CalibratedLayer {
  readonly layer: number;
  /** Upper triangle of (2/n) Σ XᵀX by group; disposed when the consumer asks for the next layer. */
  readonly hessians: ReadonlyMap<GroupName, Matrix>;
}

/** Sequences that go through a layer together, and which rows of the hidden-state file are theirs. */
interface Batch {
  readonly firstRow: number;
  readonly nRows: number;
  readonly ids: readonly number[];
  readonly segments: readonly Segment[];
}

/**
 * Run the sequences through the model layer by layer and yield each layer's Hessians. Only one layer of weights is in memory;
 * hidden states lie on disk, so memory does not grow with the number of examples. Begins at the first layer whose input is
 * found in the work folder (layer 0 otherwise), so the consumer may see again the layer it had in hand when it was killed.
 */
export async function* calibrate(input: CalibrationInput): AsyncGenerator<CalibratedLayer> {
  const { engine, config, workFolder, neededLayer, sequences } = input;
  await guardFile(workFolder, () => mkdir(workFolder, { recursive: true }));
  const batches = pack(sequences);
  const found = await resumableLayer(workFolder);
  let layer = found !== undefined && found <= neededLayer ? found : 0;
  if (layer !== found) await writeEmbeddings(input, batches);
  for (let done = 0; done < layer * batches.length; done++) input.progress.step(`layer ${layer}`);
  using workspace = openWorkspace(engine, config, Math.max(batchTokens, ...batches.map((batch) => batch.nRows)));
  for (; layer < config.nLayers; layer++) {
    const hessians = new Map<GroupName, Matrix>();
    try {
      for (const group of groupsOfLayer(config, layer)) hessians.set(group.name, engine.alloc(group.cols, group.cols));
      await runLayer(input, workspace, layer, batches, hessians);
      yield { layer, hessians };
    } finally {
      for (const hessian of hessians.values()) hessian[Symbol.dispose]();
    }
    await removeHidden(workFolder, layer);
  }
}

/** The layer at which `calibrate` would go on with what lies in a work folder; undefined when it would begin with the first. */
export async function resumableLayer(workFolder: string): Promise<number | undefined> {
  const layer = await firstLayer(workFolder);
  if (layer === undefined) return undefined;
  const recorded = await Bun.file(hashFile(workFolder, layer))
    .text()
    .catch(() => "");
  return recorded === (await sha256OfFile(hiddenFile(workFolder, layer))) ? layer : undefined;
}

/** Bytes that the hidden states need on disk at most. */
export function hiddenStateBytes(config: ModelConfig, nTokens: number): number {
  return 2 * 4 * nTokens * config.hiddenSize;
}

/** Steps that one layer takes. */
export function nBatches(sequences: readonly (readonly number[])[]): number {
  return pack(sequences).length;
}

function hiddenFile(folder: string, layer: number): string {
  return join(folder, `hidden-${String(layer).padStart(3, "0")}.f32`);
}

/** sha256 of a hidden-state file, so that one that was damaged is not gone on with. */
function hashFile(folder: string, layer: number): string {
  return hiddenFile(folder, layer).replace(/f32$/, "sha256");
}

async function removeHidden(folder: string, layer: number): Promise<void> {
  await removeQuietly(hiddenFile(folder, layer));
  await removeQuietly(hashFile(folder, layer));
}

async function firstLayer(folder: string): Promise<number | undefined> {
  const found = (await readdir(folder))
    .map((name) => /^hidden-(\d+)\.f32$/.exec(name)?.[1])
    .filter((x) => x !== undefined);
  return found.length === 0 ? undefined : Math.min(...found.map(Number));
}

/** Whole sequences, in their order, up to `batchTokens` a batch (a longer sequence goes alone). */
function pack(sequences: readonly (readonly number[])[]): Batch[] {
  const batches: Batch[] = [];
  let firstRow = 0;
  for (let at = 0; at < sequences.length; ) {
    const ids: number[] = [];
    const lengths: number[] = [];
    while (at < sequences.length && (ids.length === 0 || ids.length + sequences[at].length <= batchTokens)) {
      lengths.push(sequences[at].length);
      ids.push(...sequences[at++]);
    }
    batches.push({ firstRow, nRows: ids.length, ids, segments: packSegments(lengths) });
    firstRow += ids.length;
  }
  return batches;
}

async function writeEmbeddings(input: CalibrationInput, batches: readonly Batch[]): Promise<void> {
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
  workspace: Workspace,
  layer: number,
  batches: readonly Batch[],
  hessians: ReadonlyMap<GroupName, Matrix>,
): Promise<void> {
  const { engine, checkpoint, config, workFolder, sequences, progress } = input;
  using weights = await loadLayer(engine, checkpoint, config, layer);
  using hidden = engine.alloc(workspace.capacity, config.hiddenSize);
  const source = await open(hiddenFile(workFolder, layer), "r");
  try {
    await writeHidden(workFolder, layer + 1, async (write) => {
      for (const batch of batches) {
        const x = hidden.view(0, 0, batch.nRows, config.hiddenSize);
        engine.write(x, await readRows(source, batch, config.hiddenSize));
        const tap = (group: GroupName, activations: Matrix) => {
          const hessian = hessians.get(group);
          if (hessian) accumulate(engine, hessian, activations, sequences.length);
        };
        forwardLayer(workspace.batch(batch.segments), weights, x, { tap });
        await write(engine.read(x) as Float32Array, batch.firstRow * config.hiddenSize);
        progress.step(`layer ${layer}`);
      }
    });
  } finally {
    await source.close();
  }
}

async function readRows(source: Awaited<ReturnType<typeof open>>, batch: Batch, width: number): Promise<Float32Array> {
  const rows = new Float32Array(batch.nRows * width);
  const bytes = new Uint8Array(rows.buffer);
  const { bytesRead } = await source.read(bytes, 0, bytes.length, batch.firstRow * width * 4);
  if (bytesRead !== bytes.length) throw new Error(`hidden states end early: ${bytesRead} of ${bytes.length} bytes`);
  return rows;
}

type WriteRows = (rows: Float32Array, atElement: number) => Promise<void>;

/** Write a layer's input, rows in their order, under a temporary name; it counts only once it and its hash are whole. */
function writeHidden(folder: string, layer: number, fill: (write: WriteRows) => Promise<void>): Promise<void> {
  const path = hiddenFile(folder, layer);
  return guardFile(path, async () => {
    const file = await nodeDisk.open(`${path}.part`, "w+");
    const hasher = new Bun.CryptoHasher("sha256");
    try {
      await fill((rows, at) => {
        const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
        hasher.update(bytes);
        return nodeDisk.write(file, bytes, at * 4);
      });
      await nodeDisk.sync(file);
    } finally {
      await nodeDisk.close(file);
    }
    await writeDurably(hashFile(folder, layer), hasher.digest("hex"));
    await nodeDisk.rename(`${path}.part`, path);
  });
}
