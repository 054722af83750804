import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, streamSafetensors, type TensorInfo } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import type { Parameter } from "@safedelta/training";
import { PipelineError } from "../errors.ts";
import { guardFile, readJson, removeQuietly, sha256, sha256OfFile, stableJson } from "../files.ts";
import type { Progress } from "../progress.ts";
import { bytesOf } from "../upload.ts";
import { besideOf, jobFile, writeDurably } from "../workFolder.ts";
import type { LogEntry } from "./options.ts";

/** What lies on the disk between updates, so that an interrupted training goes on with the very same numbers. */
interface Saved {
  /** Updates done. */
  readonly update: number;
  readonly log: readonly LogEntry[];
  /** Of the file with the weights and averages. */
  readonly sha256: string;
}

/** Numbers copied out of the engine at a time. */
const pieceNumbers = 2 ** 22;

const notesName = /^update-(\d+)\.json$/;
/** What a training writes beside its output, whole or in parts. */
export const ofTraining = /^(job\.json|update-\d+\.(json|safetensors))(\.part(ial)?)?$/;
const notesFile = (update: number) => `update-${update}.json`;
const weightsFile = (update: number) => `update-${update}.safetensors`;

/** After which update a file beside an output was kept; undefined for files of other names. */
export function keptUpdate(name: string): number | undefined {
  const [, digits] = notesName.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** What decides the bytes of a result, as job.json has it. */
export interface TrainingJob {
  readonly toolVersion: string;
  readonly engine: object;
  /** Hashes. */
  readonly model: string;
  readonly data: string;
  readonly recipe: object;
}

/**
 * Take the folder beside an output for this very training; what another one left there is taken away only with `overwrite`.
 * @param nUpdates in all, for those who watch
 * @throws PipelineError `usage` when another training is unfinished there
 */
export async function claimUpdates(
  out: string,
  job: TrainingJob,
  { overwrite, nUpdates }: { readonly overwrite: boolean; readonly nUpdates: number },
): Promise<void> {
  const [folder, own] = [besideOf(out), sha256(stableJson(job))];
  const path = join(folder, jobFile);
  const found = await readJson<{ fingerprint?: string; job?: Partial<TrainingJob> }>(path).catch(() => undefined);
  if (found?.fingerprint === own) return;
  const names = await readdir(folder).catch((): string[] => []);
  if (!overwrite && names.some((name) => keptUpdate(name) !== undefined)) {
    const what = found?.job
      ? `with another ${differences(found.job, job).join(", ")}`
      : "of another model, data or recipe";
    throw new PipelineError(
      "usage",
      `${folder}: holds an unfinished fine-tuning ${what}. Repeat that one to finish it, choose another --out, or add --overwrite to discard it.`,
    );
  }
  await removeQuietly(folder);
  await guardFile(folder, () => mkdir(folder, { recursive: true }));
  await writeDurably(path, stableJson({ fingerprint: own, job, nUpdates }));
}

/** Names of what differs: version, engine, model, data, and each setting of the recipe. */
function differences(made: Partial<TrainingJob>, wanted: TrainingJob): string[] {
  const other = (a: object, b: object) => {
    const [before, after] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
    const names = [...new Set([...before.keys(), ...after.keys()])];
    return names.filter((name) => !Bun.deepEquals(before.get(name), after.get(name)));
  };
  const { recipe: madeRecipe = {}, ...rest } = made;
  const { recipe, ...wantedRest } = wanted;
  return [...other(rest, wantedRest), ...other(madeRecipe, JSON.parse(stableJson(recipe)))];
}

/** A kept update may take this share of the time between two. */
const keepShare = 1 / 50;
/** What a disk is taken to write. */
const assumedBytesPerSecond = 1e8;

/** What keeping an update is taken to take before the first was kept. */
export function assumedKeepMs(parameters: readonly Parameter[]): number {
  const sizes = [...matricesOf(parameters).values()].map(
    ({ rows, cols, dtype }) => rows * cols * (dtype === "f32" ? 4 : 2),
  );
  return (1000 * sizes.reduce((sum, size) => sum + size, 0)) / assumedBytesPerSecond;
}

/**
 * How long to work between two kept updates: what is quickly kept is kept often, so that little is lost.
 * @param keepMs what the last one took
 * @param mostMinutes and no longer, whatever it takes
 */
export function keepEveryMs(keepMs: number, mostMinutes: number): number {
  return Math.min(60_000 * mostMinutes, keepMs / keepShare);
}

/** Keep everything that the next updates depend on; what was kept before is taken away afterwards. */
export async function saveUpdate(
  engine: Engine,
  folder: string,
  parameters: readonly Parameter[],
  log: readonly LogEntry[],
): Promise<void> {
  const update = log.length;
  const matrices = matricesOf(parameters);
  const infos = [...matrices].map(([name, { rows, cols, dtype }]): TensorInfo => {
    return { name, dtype: dtype === "f32" ? "F32" : "BF16", shape: [rows, cols] };
  });
  const pieces = ({ name }: TensorInfo) => piecesOf(engine, matrices.get(name) as Matrix);
  const hash = await streamSafetensors(join(folder, weightsFile(update)), infos, pieces);
  await writeDurably(join(folder, notesFile(update)), stableJson({ update, log, sha256: hash } satisfies Saved));
  for (const name of await readdir(folder)) {
    if (name !== jobFile && !name.startsWith(`update-${update}.`)) await removeQuietly(join(folder, name));
  }
}

/**
 * Take up the latest updates that lie in the folder whole.
 * @returns their log; empty when there are none, and nothing was changed
 */
export async function resumeUpdates(
  engine: Engine,
  folder: string,
  parameters: readonly Parameter[],
  progress: Progress,
): Promise<readonly LogEntry[]> {
  const names = await readdir(folder);
  const found = names.map(keptUpdate).filter((update) => update !== undefined);
  for (const update of found.sort((a, b) => b - a)) {
    const saved = await readJson<Saved>(join(folder, notesFile(update))).catch(() => undefined);
    const path = join(folder, weightsFile(update));
    if (saved !== undefined && saved.sha256 === (await sha256OfFile(path).catch(() => ""))) {
      await loadUpdate(engine, path, parameters);
      return saved.log;
    }
    progress.warn(`${path}: is damaged, so what it held is computed again.`);
  }
  return [];
}

async function loadUpdate(engine: Engine, path: string, parameters: readonly Parameter[]): Promise<void> {
  const file = await openSafetensors(path);
  try {
    for (const [name, matrix] of matricesOf(parameters)) {
      for (const { row, rows } of pieceRows(matrix)) {
        const { bytes } = await file.readRows(name, row, rows);
        const copy = bytes.slice().buffer;
        engine.write(
          matrix.view(row, 0, rows, matrix.cols),
          matrix.dtype === "f32" ? new Float32Array(copy) : new Uint16Array(copy),
        );
      }
    }
  } finally {
    await file.close();
  }
}

function matricesOf(parameters: readonly Parameter[]): Map<string, Matrix> {
  const entries = parameters.flatMap(({ name, weight, m, v }): [string, Matrix][] => [
    [`${name}|weight`, weight],
    [`${name}|m`, m],
    [`${name}|v`, v],
  ]);
  return new Map(entries);
}

function* piecesOf(engine: Engine, matrix: Matrix): Generator<Uint8Array> {
  for (const { row, rows } of pieceRows(matrix)) yield bytesOf(engine.read(matrix.view(row, 0, rows, matrix.cols)));
}

function pieceRows({ rows, cols }: Matrix): { row: number; rows: number }[] {
  const each = Math.max(1, Math.floor(pieceNumbers / cols));
  return Array.from({ length: Math.ceil(rows / each) }, (_, i) => {
    return { row: i * each, rows: Math.min(each, rows - i * each) };
  });
}
