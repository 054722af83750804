import { type FileHandle, readdir } from "node:fs/promises";
import { join } from "node:path";
import { nodeDisk } from "@safedelta/checkpoint";
import { guardFile, removeQuietly } from "./files.ts";
import { writeDurably } from "./workFolder.ts";

/** Which rows of a hidden-state file. */
interface Rows {
  readonly firstRow: number;
  readonly nRows: number;
}

/** The layer at which `calibrate` would go on with what lies in a work folder; undefined when it would begin with the first. */
export async function resumableLayer(workFolder: string): Promise<number | undefined> {
  const layer = await firstLayer(workFolder);
  if (layer === undefined) return undefined;
  return (await isWhole(workFolder, layer)) ? layer : undefined;
}

/** A layer's input. */
export function hiddenFile(folder: string, layer: number): string {
  return join(folder, `hidden-${String(layer).padStart(3, "0")}.f32`);
}

/** Checksums of a hidden-state file, so that one that was damaged is not gone on with. */
function sumsFile(folder: string, layer: number): string {
  return hiddenFile(folder, layer).replace(/f32$/, "sums");
}

/** A run of bytes and its checksum: no sha256, which would take longer than a GPU takes to compute the bytes. */
interface Sum {
  readonly bytes: number;
  readonly xxHash3: string;
}

function sumOf(bytes: Uint8Array): Sum {
  return { bytes: bytes.length, xxHash3: Bun.hash.xxHash3(bytes).toString(16) };
}

/** True when a hidden-state file is, from end to end, what its checksums say. */
async function isWhole(folder: string, layer: number): Promise<boolean> {
  const file = Bun.file(hiddenFile(folder, layer));
  const sums: Sum[] | undefined = await Bun.file(sumsFile(folder, layer))
    .json()
    .catch(() => undefined);
  if (!Array.isArray(sums)) return false;
  let end = 0;
  for (const sum of sums) {
    const bytes = await file.slice(end, end + sum.bytes).bytes();
    if (sumOf(bytes).xxHash3 !== sum.xxHash3) return false;
    end += sum.bytes;
  }
  return end === file.size;
}

/** Remove a layer's input once the next layer's is whole. */
export async function removeHidden(folder: string, layer: number): Promise<void> {
  await removeQuietly(hiddenFile(folder, layer));
  await removeQuietly(sumsFile(folder, layer));
}

async function firstLayer(folder: string): Promise<number | undefined> {
  const found = (await readdir(folder))
    .map((name) => /^hidden-(\d+)\.f32$/.exec(name)?.[1])
    .filter((x) => x !== undefined);
  return found.length === 0 ? undefined : Math.min(...found.map(Number));
}

/** Rows from `firstRow` on of an open hidden-state file, `width` numbers each. @throws when the file ends before */
export async function readRows(source: FileHandle, { firstRow, nRows }: Rows, width: number): Promise<Float32Array> {
  const rows = new Float32Array(nRows * width);
  const bytes = new Uint8Array(rows.buffer);
  const { bytesRead } = await source.read(bytes, 0, bytes.length, firstRow * width * 4);
  if (bytesRead !== bytes.length) throw new Error(`hidden states end early: ${bytesRead} of ${bytes.length} bytes`);
  return rows;
}

type WriteRows = (rows: Float32Array, atElement: number) => Promise<void>;

/** Write a layer's input, rows in their order, under a temporary name; it counts only once it and its checksums are whole. */
export function writeHidden(folder: string, layer: number, fill: (write: WriteRows) => Promise<void>): Promise<void> {
  const path = hiddenFile(folder, layer);
  return guardFile(path, async () => {
    const file = await nodeDisk.open(`${path}.part`, "w+");
    const sums: Sum[] = [];
    try {
      await fill((rows, at) => {
        const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
        sums.push(sumOf(bytes));
        return nodeDisk.write(file, bytes, at * 4);
      });
      await nodeDisk.sync(file);
    } finally {
      await nodeDisk.close(file);
    }
    await writeDurably(sumsFile(folder, layer), JSON.stringify(sums));
    await nodeDisk.rename(`${path}.part`, path);
  });
}
