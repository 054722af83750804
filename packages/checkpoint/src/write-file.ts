import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type Disk, nodeDisk, syncFolder } from "./disk.ts";
import { guardIo } from "./errors.ts";

async function writeParts(path: string, parts: Iterable<Uint8Array>, disk: Disk): Promise<void> {
  const fd = await disk.open(path, "w+");
  try {
    let position = 0;
    for (const part of parts) {
      await disk.write(fd, part, position);
      position += part.byteLength;
    }
    await disk.sync(fd);
  } finally {
    await disk.close(fd);
  }
}

/**
 * Writes a file so that its name only ever means the whole of it: temporary name, fsync, rename. After a failure the
 * temporary file is gone and a former file of that name is untouched.
 * @throws CheckpointError "disk-full" or "io"
 */
export async function writeFileAtomic(path: string, parts: Iterable<Uint8Array>, disk: Disk = nodeDisk): Promise<void> {
  const temporary = `${path}.partial`;
  await guardIo("write the file", path, async () => {
    try {
      await writeParts(temporary, parts, disk);
      await disk.rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await syncFolder(dirname(path));
  });
}
