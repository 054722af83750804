import { rename } from "node:fs/promises";
import { closeDescriptor, openDescriptor, syncDescriptor, truncateDescriptor, writeDescriptor } from "./descriptor.ts";

/** The writing calls of this package. A test hands in one that fails; everything else uses `nodeDisk`. */
export interface Disk {
  /** Opens for writing: "w+" makes an empty file, "r+" keeps what is there. Returns a file descriptor. */
  open(path: string, flags: "w+" | "r+"): Promise<number>;
  /** Writes all bytes at a position. */
  write(fd: number, bytes: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or fills it with zeros, to a size. */
  truncate(fd: number, sizeBytes: number): Promise<void>;
  /** Returns when the bytes are on the medium. */
  sync(fd: number): Promise<void>;
  close(fd: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

async function writeFully(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const { bytesWritten } = await writeDescriptor(
      fd,
      bytes,
      done,
      Math.min(bytes.byteLength - done, 2 ** 30),
      position + done,
    );
    done += bytesWritten;
  }
}

/** The real disk. */
export const nodeDisk: Disk = {
  open: openDescriptor,
  write: writeFully,
  truncate: truncateDescriptor,
  sync: syncDescriptor,
  close: closeDescriptor,
  rename,
};

/** Makes renames and new names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const fd = await openDescriptor(path, "r");
  try {
    await syncDescriptor(fd);
  } finally {
    await closeDescriptor(fd);
  }
}
