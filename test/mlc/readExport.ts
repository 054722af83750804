import { expect } from "bun:test";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** A tensor of an export with its bytes as they are stored. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly format: string;
  readonly bytes: Uint8Array;
}

/** Read an export as web-llm does, by tensor-cache.json alone; sizes, md5, order and places of everything are checked on the way. */
export async function readExport(folder: string): Promise<Map<string, StoredTensor>> {
  const { metadata, records } = JSON.parse(await readFile(join(folder, "tensor-cache.json"), "utf8"));
  const found = new Map<string, StoredTensor>();
  let total = 0;
  for (const { dataPath, format, nbytes, md5sum, records: tensors } of records) {
    const shard = await readFile(join(folder, dataPath));
    expect({ format, nbytes, md5sum }).toEqual({
      format: "raw-shard",
      nbytes: shard.length,
      md5sum: createHash("md5").update(shard).digest("hex"),
    });
    let at = 0;
    for (const { name, shape, dtype, format, nbytes, byteOffset } of tensors) {
      expect(byteOffset).toBe(at);
      at += nbytes;
      found.set(name, { shape, dtype, format, bytes: shard.subarray(byteOffset, at) });
    }
    expect(at).toBe(shard.length);
    total += at;
  }
  expect(metadata).toMatchObject({ ParamSize: found.size, ParamBytes: total });
  return found;
}
