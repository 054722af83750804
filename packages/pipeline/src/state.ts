import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, type Tensor, type TensorFile, writeSafetensors } from "@safedelta/checkpoint";
import {
  dampedHessianOf,
  inverseFactorOf,
  type Mode,
  orderedFactorOf,
  type PreparedGroup,
  spectrumOf,
} from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { type GroupName, groupNames } from "@safedelta/model";
import { at, PipelineError } from "./errors.ts";
import { guardFile, readJson, sha256, stableJson } from "./files.ts";
import { familiesOf, modesOf, type Parts, partOf, type StatePart } from "./parts.ts";
import type { Progress } from "./progress.ts";
import type { DataFacts } from "./sequences.ts";
import { ownCommand } from "./shell.ts";
import { readSquare, readTriangle, squareBytes, triangleBytes } from "./triangle.ts";
import type { EngineStamp } from "./version.ts";

/** How a state was made: the engine, the damping, and the modes that `prepare --modes` takes for the same parts. */
export function planOf({ manifest: { engine, damping, parts } }: Pick<State, "manifest">): {
  readonly engine: string;
  readonly damping: number;
  readonly modes: readonly Mode[];
} {
  return { engine: engine.name, damping, modes: familiesOf(parts) };
}

/** One group's entry in its layer's manifest. */
export interface GroupManifest {
  readonly name: GroupName;
  readonly cols: number;
  /** Of the damped Hessian: the unit of `--strength`. */
  readonly meanDiagonal: number;
  readonly damping: number;
  readonly nDead: number;
  /** sha256 of each tensor's bytes in the group's file. */
  readonly tensors: Readonly<Record<string, string>>;
}

/** `layers/NNN/layer.json`: written last, so a layer with this file is whole. */
export interface LayerManifest {
  readonly groups: readonly GroupManifest[];
  /** sha256 of the aligned weights by tensor name: a state serves these weights and no others. */
  readonly linears: Readonly<Record<string, string>>;
}

/** Raised whenever what a state holds changes; 2 brought the hashes of embeddings and norms, 3 the seal, 4 parts by group, 5 the damping's share. */
export const stateFormat = 5;

/** `state.json`: written last, so a folder with this file is a whole state. */
export interface StateManifest {
  readonly format: typeof stateFormat;
  readonly toolVersion: string;
  readonly engine: EngineStamp;
  readonly model: {
    readonly spec: string;
    readonly sha256: string;
    readonly configSha256: string;
    /** sha256 of each tensor that is no linear of a block: embeddings, norms, biases. */
    readonly rest: Readonly<Record<string, string>>;
  };
  readonly safeData: DataFacts;
  /** Share of the mean diagonal that was added to each Hessian's diagonal. */
  readonly damping: number;
  readonly parts: Parts;
  readonly layers: readonly LayerManifest[];
  /** sha256 of all the rest in canonical JSON, so that a changed number is noticed. */
  readonly seal: string;
}

/** A manifest before its last step. */
export type Unsealed = Omit<StateManifest, "seal">;

/** Seal a manifest. */
export function sealed(manifest: Unsealed): StateManifest {
  return { ...manifest, seal: sha256(stableJson(manifest)) };
}

/** A prepared group in engine memory. */
export interface LoadedGroup extends PreparedGroup, Disposable {}

/** A whole state on disk. */
export interface State {
  readonly folder: string;
  readonly manifest: StateManifest;
  /** sha256 of state.json: names the state. */
  readonly sha256: string;
  /** @throws PipelineError `incompatible` when a file was changed since it was written */
  load(engine: Engine, layer: number, group: GroupName, mode: Mode): Promise<LoadedGroup>;
}

/** Bytes on disk of one group with the given parts. */
export function groupBytes(cols: number, parts: readonly StatePart[]): number {
  const sizes: Record<StatePart, number> = {
    inverse: triangleBytes(cols),
    ordered: triangleBytes(cols) + 12 * cols,
    spectrum: squareBytes(cols) + 8 * cols,
    hessian: triangleBytes(cols),
  };
  return parts.reduce((sum, part) => sum + sizes[part], 0);
}

/** Folder of one layer inside a state. */
export function layerFolder(state: string, layer: number): string {
  return join(state, "layers", String(layer).padStart(3, "0"));
}

/** Write one group's file and return the hashes of its tensors. */
export async function writeGroup(folder: string, name: GroupName, tensors: Tensor[]): Promise<Record<string, string>> {
  await guardFile(folder, () => mkdir(folder, { recursive: true }));
  await writeSafetensors(join(folder, `${name}.safetensors`), tensors);
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, sha256(tensor.bytes)]));
}

/**
 * Open a state folder.
 * @throws PipelineError `incompatible` when it is none, is unfinished, or comes from another format
 */
export async function openState(folder: string): Promise<State> {
  const path = join(folder, "state.json");
  if (!(await Bun.file(path).exists())) throw new PipelineError("incompatible", await whyNoState(folder));
  const manifest = checkManifest(path, await readJson<StateManifest | null>(path));
  return {
    folder,
    manifest,
    sha256: sha256(stableJson(manifest)),
    load: (engine, layer, group, mode) => loadGroup(engine, { folder, manifest }, layer, group, mode),
  };
}

const makeAgain = "Run prepare again with --overwrite.";

/** @throws PipelineError `incompatible` for another format, when parts of it are gone, or when it was changed */
export function checkManifest(path: string, manifest: StateManifest | null): StateManifest {
  const next = makeAgain;
  if (manifest?.format !== stateFormat)
    throw new PipelineError("incompatible", `${path}: format ${manifest?.format} is not known. ${next}`);
  const { seal, ...rest } = manifest;
  const { model, safeData, parts, layers } = rest;
  const whole = model && safeData && groupNames.every((name) => Array.isArray(parts?.[name])) && Array.isArray(layers);
  if (!whole || !layers.every((layer) => Array.isArray(layer?.groups) && layer.linears))
    throw new PipelineError("incompatible", `${path}: is damaged, parts of it are missing. ${next}`);
  if (sealed(rest).seal === seal) return manifest;
  throw new PipelineError("incompatible", `${path}: was changed since prepare wrote it (its seal differs). ${next}`);
}

async function whyNoState(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => undefined);
  const make = ownCommand(["prepare", "MODEL", "--safe-data", "FILE", "--out", folder]);
  if (names === undefined) return `${folder}: no such folder. Make a state with: ${make}`;
  if (names.includes("layers") && !names.includes("work") && !names.includes("job.json"))
    return `${folder}: has lost its state.json, so it is no state any more. Prepare into another --out, or remove this folder first.`;
  if (names.includes("work") || names.includes("job.json")) {
    return `${folder}: this state is not finished. Run the same prepare command again; it goes on where it stopped.`;
  }
  return `${folder}: not a state (no state.json). Make one with: ${make}`;
}

async function loadGroup(
  engine: Engine,
  state: { folder: string; manifest: StateManifest },
  layer: number,
  name: GroupName,
  mode: Mode,
): Promise<LoadedGroup> {
  const group = state.manifest.layers[layer]?.groups.find((candidate) => candidate.name === name);
  if (!group) throw new PipelineError("incompatible", `${state.folder}: has no group ${name} in layer ${layer}.`);
  requireMode(state, mode);
  const part = partOf(state.manifest.parts, name, mode) as StatePart;
  return withGroup(state.folder, layer, name, async (file) => {
    const factor = await readPart(engine, file, group, part);
    const { cols } = group;
    return { cols, [part]: factor, [Symbol.dispose]: () => factor[Symbol.dispose]() };
  });
}

async function withGroup<T>(
  state: string,
  layer: number,
  name: GroupName,
  use: (file: TensorFile) => Promise<T>,
): Promise<T> {
  const file = await openSafetensors(join(layerFolder(state, layer), `${name}.safetensors`));
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** Read every piece of a state. @throws PipelineError, CheckpointError for the first that is gone or was changed */
export async function checkPieces({ folder, manifest }: State, progress: Progress): Promise<void> {
  progress.stage("checking the state that is there", manifest.layers.length);
  for (const [layer, { groups }] of manifest.layers.entries()) {
    await checkLayer(folder, layer, groups);
    progress.step(`layer ${layer}`);
  }
}

/** As `checkPieces`, for one layer. */
export async function checkLayer(folder: string, layer: number, groups: readonly GroupManifest[]): Promise<void> {
  for (const group of groups) {
    await withGroup(folder, layer, group.name, async (file) => {
      for (const tensor of Object.keys(group.tensors)) await readPiece(file, group, tensor);
    });
  }
}

/** Bytes of one tensor as prepare wrote them. @throws PipelineError `incompatible` when they are others */
async function readPiece(file: TensorFile, group: GroupManifest, tensor: string): Promise<Uint8Array> {
  const { bytes } = await file.read(tensor);
  if (sha256(bytes) === group.tensors[tensor]) return bytes;
  const changed = `${file.path}: ${tensor} was changed since prepare wrote it (its hash differs). ${makeAgain}`;
  throw new PipelineError("incompatible", changed);
}

/** @throws PipelineError `incompatible` when a state was not prepared for a mode */
export function requireMode({ folder, manifest }: Pick<State, "folder" | "manifest">, mode: Mode): void {
  const served = modesOf(manifest.parts);
  if (served.includes(mode)) return;
  throw new PipelineError(
    "incompatible",
    `${folder}: holds nothing for ${mode} (it was prepared for ${served.join(", ")}). ` +
      `Prepare again with --modes ${mode} into another --out, or with --overwrite.`,
  );
}

async function readPart(engine: Engine, file: TensorFile, group: GroupManifest, part: StatePart) {
  const read = (tensor: string) => readPiece(file, group, tensor);
  const n = group.cols;
  if (part === "inverse") return inverseFactorOf(readTriangle(engine, await read("inverse_factor"), n));
  if (part === "spectrum") {
    const values = new Float64Array((await read("eigenvalues")).slice().buffer);
    return spectrumOf(values, readSquare(engine, await read("eigenvectors"), n));
  }
  if (part === "hessian") {
    const h = readTriangle(engine, await read("hessian"), n);
    return at(file.path, () => dampedHessianOf(engine, h));
  }
  const order = new Int32Array((await read("order")).slice().buffer);
  const sensitivity = new Float64Array((await read("sensitivity")).slice().buffer);
  return orderedFactorOf(order, sensitivity, readTriangle(engine, await read("ordered_factor"), n));
}
