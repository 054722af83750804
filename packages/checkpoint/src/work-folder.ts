import { mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Disk, syncFolder } from "./disk.ts";
import { CheckpointError, isAbsent } from "./errors.ts";
import { hashTensorBytes } from "./hash.ts";
import { Journal, type JournalRecord, readJournal, type TensorNote } from "./journal.ts";
import { openFile, type RandomAccessFile } from "./read-file.ts";
import type { ShardPlan } from "./shard-plan.ts";
import { tensorBytes } from "./tensor.ts";

/** Hidden folder in the output folder that holds unfinished work. */
export const workName = ".safedelta-work";
const journalName = "journal.jsonl";

/** Bytes read at a time while finished tensors are checked. */
const checkBytes = 2 ** 26;

/** Where the parts of one output lie. */
export interface WorkPaths {
  readonly out: string;
  readonly work: string;
  readonly journal: string;
}

export function workPaths(out: string): WorkPaths {
  const work = join(out, workName);
  return { out, work, journal: join(work, journalName) };
}

/** Whether an output folder's work is done but for taking the work folder away: every file has moved to its final place. */
export async function isMoved(out: string): Promise<boolean> {
  const { work, journal } = workPaths(out);
  const waiting = (await listFolder(work)).filter((name) => name !== journalName);
  return waiting.length === 0 && ((await readJournal(journal))?.committed ?? false);
}

/** Work that was found and holds. */
export interface FoundWork {
  readonly journal: JournalRecord;
  /** Finished tensors, their bytes checked, with the notes written beside them. */
  readonly done: Map<string, TensorNote>;
}

async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

async function hashRange(file: RandomAccessFile, start: number, end: number): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for (let at = start; at < end; at += checkBytes) hasher.update(await file.read(at, Math.min(end, at + checkBytes)));
  return hasher.digest("hex");
}

/** Tensors of one shard whose bytes have the hash that the journal gives; none when the shard is not the planned one. */
async function checkShard(
  path: string,
  shard: ShardPlan,
  notes: ReadonlyMap<string, TensorNote>,
): Promise<ReadonlyMap<string, TensorNote> | undefined> {
  const file = await openFile(path);
  try {
    const { bytes, offsets, fileBytes } = shard.header;
    if (file.sizeBytes !== fileBytes) return undefined;
    if (hashTensorBytes(await file.read(0, bytes.length)) !== hashTensorBytes(bytes)) return undefined;
    const good = new Map<string, TensorNote>();
    for (const [i, info] of shard.tensors.entries()) {
      const note = notes.get(info.name);
      if (note && (await hashRange(file, offsets[i], offsets[i] + tensorBytes(info))) === note.sha256)
        good.set(info.name, note);
    }
    return good;
  } finally {
    await file.close();
  }
}

/** A shard is in the work folder, or already in its final place when the files began to move. */
async function shardPath({ out, work }: WorkPaths, shard: ShardPlan, committed: boolean): Promise<string | undefined> {
  if ((await listFolder(work)).includes(shard.file)) return join(work, shard.file);
  return committed && (await listFolder(out)).includes(shard.file) ? join(out, shard.file) : undefined;
}

async function checkWork(
  paths: WorkPaths,
  shards: readonly ShardPlan[],
  journal: JournalRecord,
): Promise<FoundWork | undefined> {
  const notes = new Map(journal.entries.map(({ tensor, note }) => [tensor, note]));
  const done = new Map<string, TensorNote>();
  for (const shard of shards) {
    const path = await shardPath(paths, shard, journal.committed);
    const good = path && (await checkShard(path, shard, notes));
    if (!good) return undefined;
    for (const [name, note] of good) done.set(name, note);
  }
  const nTensors = shards.reduce((sum, { tensors }) => sum + tensors.length, 0);
  return journal.committed && done.size < nTensors ? undefined : { journal, done };
}

function foreignWork({ out }: WorkPaths): CheckpointError {
  return new CheckpointError(
    "incompatible",
    `${out}: holds unfinished work of another run (other models, data, options or engine); repeat that run to finish it, ` +
      "pass --overwrite to discard it, or choose another output folder",
    { file: out },
  );
}

function notEmpty({ out }: WorkPaths): CheckpointError {
  return new CheckpointError(
    "incompatible",
    `${out}: is not empty; pass --overwrite to replace the model in it, or choose another folder`,
    {
      file: out,
    },
  );
}

/**
 * Looks for work of the same plan in an output folder. Work of another plan in which nothing was finished is no loss.
 * @returns the work, or undefined when it has to start anew
 * @throws CheckpointError "incompatible" when starting anew would destroy something and `overwrite` is false
 */
export async function findWork(
  paths: WorkPaths,
  plan: string,
  shards: readonly ShardPlan[],
  overwrite: boolean,
): Promise<FoundWork | undefined> {
  const names = await listFolder(paths.out);
  const journal = await readJournal(paths.journal);
  if (journal?.plan === plan) return checkWork(paths, shards, journal);
  if (overwrite) return undefined;
  if (journal && journal.entries.length > 0) throw foreignWork(paths);
  if (names.some((name) => !name.startsWith("."))) throw notEmpty(paths);
  return undefined;
}

async function createShard(path: string, { header }: ShardPlan, disk: Disk): Promise<void> {
  const fd = await disk.open(path, "w+");
  try {
    await disk.write(fd, header.bytes, 0);
    await disk.truncate(fd, header.fileBytes);
    await disk.sync(fd);
  } finally {
    await disk.close(fd);
  }
}

/** Makes the work folder anew: shards of full size with their headers, then the journal, whose first line makes it valid. */
export async function createWork(
  paths: WorkPaths,
  plan: string,
  shards: readonly ShardPlan[],
  disk: Disk,
): Promise<Journal> {
  await rm(paths.work, { recursive: true, force: true });
  await mkdir(paths.work, { recursive: true });
  for (const shard of shards) await createShard(join(paths.work, shard.file), shard, disk);
  const journal = await Journal.create(paths.journal, plan, disk);
  for (const folder of [paths.work, paths.out, dirname(paths.out)]) await syncFolder(folder);
  return journal;
}
