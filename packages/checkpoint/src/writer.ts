import { join } from "node:path";
import { checkExtraNames, finalOrder, moveFiles, removeFormer, writeExtra } from "./commit.ts";
import { type Disk, nodeDisk } from "./disk.ts";
import { CheckpointError, guardIo } from "./errors.ts";
import { hashTensorBytes } from "./hash.ts";
import { Journal, type JournalEntry, type TensorNote } from "./journal.ts";
import { checkTensorSize } from "./safetensors-header.ts";
import { planShards, type ShardPlan } from "./shard-plan.ts";
import { requireTensor, type TensorInfo } from "./tensor.ts";
import { createWork, findWork, type WorkPaths, workPaths } from "./work-folder.ts";

/** What is to be written. */
export interface WritePlan {
  /** All tensors, in key order. */
  readonly tensors: readonly TensorInfo[];
  /** Limit on the tensor bytes of one file. */
  readonly maxShardBytes: number;
  /** Further safetensors metadata; `{"format":"pt"}` is always there. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Names everything that decides the bytes: inputs, options, version. Work under another fingerprint is never mixed in. */
  readonly fingerprint: string;
  /** Replace a model, or discard other unfinished work, in the output folder. */
  readonly overwrite: boolean;
}

/** Writes a model folder tensor by tensor, in any order; survives a kill at any moment. */
export interface CheckpointWriter {
  /** Finished tensors with the notes given to `write`, those of an interrupted run included. */
  readonly done: ReadonlyMap<string, TensorNote>;
  /**
   * Writes one tensor; returns when it is durable.
   * @param bytes little-endian, row-major, as the plan's dtype and shape say
   * @param note kept with the tensor; a resumed run trusts the tensor where its bytes on the disk still have this hash
   * @throws CheckpointError "disk-full" or "io" (what was done before stays done), "format", "missing"
   */
  write(name: string, bytes: Uint8Array, note: TensorNote): Promise<void>;
  /**
   * Adds further files, moves everything to its final place (shards, further files, index last) and removes the work folder.
   * @param last done before that folder goes: as long as it is there, a killed run is repeated, `last` with it
   * @throws CheckpointError "missing" while tensors are not done
   */
  finish(extra: ReadonlyMap<string, Uint8Array>, last?: () => Promise<void>): Promise<void>;
  /** Closes the files and leaves the work to be resumed. */
  abort(): Promise<void>;
}

/** Where a tensor goes. */
interface Place {
  readonly info: TensorInfo;
  readonly file: string;
  readonly offset: number;
}

function placesOf(shards: readonly ShardPlan[]): Map<string, Place> {
  const place = ({ file, tensors, header }: ShardPlan) =>
    tensors.map((info, i) => [info.name, { info, file, offset: header.offsets[i] }] as const);
  return new Map(shards.flatMap(place));
}

/** Identity of an output: the fingerprint and every header byte. */
function planIdentity(fingerprint: string, shards: readonly ShardPlan[]): string {
  const headers = shards.map(({ file, header }) => [file, hashTensorBytes(header.bytes)]);
  return hashTensorBytes(new TextEncoder().encode(JSON.stringify([fingerprint, headers])));
}

class ResumableWriter implements CheckpointWriter {
  /** Journal lines and data are written one after the other, whatever the caller does. */
  private last: Promise<unknown> = Promise.resolve();
  /** Shard file -> descriptor. */
  private readonly open = new Map<string, number>();
  private readonly places: ReadonlyMap<string, Place>;
  private closed = false;

  constructor(
    private readonly paths: WorkPaths,
    private readonly shards: readonly ShardPlan[],
    private readonly journal: Journal,
    private readonly disk: Disk,
    readonly done: Map<string, TensorNote>,
    private committed: boolean,
  ) {
    this.places = placesOf(shards);
  }

  write(name: string, bytes: Uint8Array, note: TensorNote): Promise<void> {
    return this.inTurn(`write tensor ${name}`, async () => {
      const { info, file, offset } = requireTensor(this.places, name, this.paths.out);
      if (this.done.has(name))
        throw new CheckpointError("format", `tensor ${name} is written already`, { tensor: name });
      checkTensorSize(info, bytes);
      const fd = await this.descriptorOf(file);
      await this.disk.write(fd, bytes, offset);
      await this.disk.sync(fd);
      await this.journal.append({ tensor: name, note } satisfies JournalEntry);
      this.done.set(name, note);
    });
  }

  finish(extra: ReadonlyMap<string, Uint8Array>, last = async () => {}): Promise<void> {
    return this.inTurn("finish the model", async () => {
      this.requireAllDone();
      checkExtraNames(extra.keys());
      await writeExtra(this.paths, this.shards, extra, this.disk);
      await this.commit();
      await this.closeFiles();
      await moveFiles(this.paths, finalOrder(this.shards, extra.keys()), this.disk, last);
    });
  }

  abort(): Promise<void> {
    return this.inTurn("close the files", () => this.closeFiles());
  }

  private inTurn<T>(action: string, work: () => Promise<T>): Promise<T> {
    const result = this.last.then(() => guardIo(action, this.paths.out, work));
    this.last = result.catch(() => {});
    return result;
  }

  private async descriptorOf(file: string): Promise<number> {
    const known = this.open.get(file);
    if (known !== undefined) return known;
    const fd = await this.disk.open(join(this.paths.work, file), "r+");
    this.open.set(file, fd);
    return fd;
  }

  private requireAllDone(): void {
    const waiting = [...this.places.keys()].filter((name) => !this.done.has(name));
    if (waiting.length === 0) return;
    throw new CheckpointError(
      "missing",
      `${this.paths.out}: ${waiting.length} tensors are not written yet, first ${waiting[0]}`,
      {
        file: this.paths.out,
        tensor: waiting[0],
      },
    );
  }

  /** From here on files may be in their final place; a former model must be gone before. */
  private async commit(): Promise<void> {
    if (this.committed) return;
    await removeFormer(this.paths);
    await this.journal.append({ committed: true });
    this.committed = true;
  }

  private async closeFiles(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.journal.close();
    for (const fd of this.open.values()) await this.disk.close(fd);
  }
}

/**
 * Starts writing a model folder, or goes on with interrupted work of the same plan found in it. Work happens in a hidden
 * folder inside `outDir`: each tensor goes to its known place in a shard and then into a journal with its hash, both
 * fsynced; so kill -9 loses at most the tensor in hand, and the result has the same bytes. Finished tensors of an
 * interrupted run are checked against their hashes, and those that fail are asked for again.
 * @param disk for tests that inject faults
 * @throws CheckpointError "incompatible" when `outDir` holds something else and `overwrite` is false; "disk-full"; "io"
 */
export async function createWriter(outDir: string, plan: WritePlan, disk: Disk = nodeDisk): Promise<CheckpointWriter> {
  const shards = planShards(plan.tensors, plan.maxShardBytes, plan.metadata);
  const identity = planIdentity(plan.fingerprint, shards);
  const paths = workPaths(outDir);
  return guardIo("prepare the output folder", outDir, async () => {
    const found = await findWork(paths, identity, shards, plan.overwrite);
    const journal = found
      ? await Journal.resume(paths.journal, found.journal, disk)
      : await createWork(paths, identity, shards, disk);
    const done = found?.done ?? new Map<string, TensorNote>();
    return new ResumableWriter(paths, shards, journal, disk, done, found?.journal.committed ?? false);
  });
}
