import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Checkpoint, type Disk, nElements, nodeDisk } from "@safedelta/checkpoint";
import { MlcError } from "./errors.ts";
import type { Quant } from "./quantisation.ts";
import { type MlcShard, type Planned, planMlcShards } from "./records.ts";
import { piecesOf } from "./weights.ts";

/** What is written. */
export interface MlcOutput {
  readonly quant: Quant;
  readonly tensors: readonly Planned[];
  /** Further files by name; `mlc-chat-config.json` is the last to take its place. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Hears of each tensor that is done. */
  readonly onTensor: (module: string) => void;
}

const configName = "mlc-chat-config.json";

/** Hidden folder in the output folder that holds what is not whole yet. */
const workName = ".safedelta-export";

const weightName = /^(params_shard_\d+\.bin|tensor-cache\.json|ndarray-cache\.json|web-llm\.json|[\w.+-]+\.wasm)$/;

/** Files of a model that an export takes along: those that mlc_llm gen_config copies, and licences. */
const companionName =
  /^(tokenizer\.model|tokenizer(_config)?\.json|vocab\.json|merges\.txt|added_tokens\.json|(LICENSE|NOTICE|USE_POLICY)(\.(md|txt))?)$/i;

/** Whether a model's file goes along. */
export function goesAlong(name: string): boolean {
  return companionName.test(name);
}

/** Whether a name in a folder is one that an export writes. */
export function isExported(name: string): boolean {
  return name === configName || weightName.test(name) || companionName.test(name);
}

/** Shards of an output, and what they come to. */
export function planOutput(tensors: readonly Planned[]) {
  const shards = planMlcShards(tensors.flatMap(({ records }) => records));
  const bytes = shards.reduce((sum, { nbytes }) => sum + nbytes, 0);
  const nWeights = tensors.reduce((sum, { tensor }) => sum + nElements(tensor.shape), 0);
  return { shards, bytes, nWeights };
}

/**
 * Write an MLC model into a folder that holds nothing else, or a former export. Everything is made in a hidden folder inside it and
 * moved when it is whole, the configuration last: web-llm reads that first. After an error the hidden folder is gone.
 * @param disk for tests that inject faults
 * @throws CheckpointError as reading does; MlcError as `piecesOf`; a system error of the disk
 */
export async function writeMlc(
  out: string,
  checkpoint: Checkpoint,
  output: MlcOutput,
  disk: Disk = nodeDisk,
): Promise<void> {
  const work = join(out, workName);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  try {
    const { shards, bytes, nWeights } = planOutput(output.tensors);
    await writeShards(work, checkpoint, output, shards, disk);
    const cache = await tensorCache(work, shards, bytes, nWeights);
    const files = new Map([...output.files, ["tensor-cache.json", cache], ["ndarray-cache.json", cache]]);
    for (const [name, content] of files) await writeWhole(join(work, name), content, disk);
    await moveAll(work, out, [...shards.map(({ dataPath }) => dataPath), ...files.keys()], disk);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writeShards(
  work: string,
  checkpoint: Checkpoint,
  { tensors, quant, onTensor }: MlcOutput,
  shards: readonly MlcShard[],
  disk: Disk,
): Promise<void> {
  const places = new Map(
    shards.flatMap(({ dataPath, records }) => records.map((record) => [record.name, { dataPath, ...record }] as const)),
  );
  for (const { dataPath } of shards) await writeWhole(join(work, dataPath), new Uint8Array(), disk);
  for (const planned of tensors) {
    for await (const { record, offset, bytes } of piecesOf(checkpoint, planned, quant)) {
      const place = places.get(record.name);
      if (!place) throw new RangeError(`record ${record.name} has no place`);
      const write = (fd: number) => disk.write(fd, bytes, place.byteOffset + offset);
      await withFile(join(work, place.dataPath), "r+", write, disk);
    }
    onTensor(planned.tensor.module);
  }
}

async function withFile(path: string, flags: "w+" | "r+", use: (fd: number) => Promise<void>, disk: Disk) {
  const fd = await disk.open(path, flags);
  try {
    await use(fd);
  } finally {
    await disk.close(fd);
  }
}

function writeWhole(path: string, bytes: Uint8Array, disk: Disk): Promise<void> {
  const write = async (fd: number) => {
    await disk.write(fd, bytes, 0);
    await disk.sync(fd);
  };
  return withFile(path, "w+", write, disk);
}

/** tensor-cache.json: where each tensor lies, with the md5 of what the disk holds. */
async function tensorCache(work: string, shards: readonly MlcShard[], bytes: number, nWeights: number) {
  const records = [];
  for (const { dataPath, nbytes, records: tensors } of shards) {
    const path = join(work, dataPath);
    const { size } = await stat(path);
    if (size !== nbytes) throw new MlcError([`${path} has ${size} bytes, not the ${nbytes} that were written.`]);
    const md5sum = await md5Of(path);
    records.push({ dataPath, format: "raw-shard", nbytes, records: tensors, md5sum });
  }
  const metadata = {
    ParamSize: records.reduce((sum, shard) => sum + shard.records.length, 0),
    ParamBytes: bytes,
    BitsPerParam: (8 * bytes) / nWeights,
  };
  return new TextEncoder().encode(`${JSON.stringify({ metadata, records }, null, 2)}\n`);
}

async function md5Of(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("md5");
  for await (const bytes of Bun.file(path).stream()) hasher.update(bytes);
  return hasher.digest("hex");
}

/** A former export goes, its configuration first, and the new one takes its place, its configuration last. */
async function moveAll(work: string, out: string, names: readonly string[], disk: Disk): Promise<void> {
  await rm(join(out, configName), { force: true });
  for (const name of await readdir(out)) if (isExported(name)) await rm(join(out, name));
  const last = (name: string) => Number(name === configName);
  for (const name of [...names].sort((a, b) => last(a) - last(b))) {
    await withFile(join(work, name), "r+", (fd) => disk.sync(fd), disk);
    await disk.rename(join(work, name), join(out, name));
  }
}
