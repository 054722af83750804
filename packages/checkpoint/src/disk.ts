import { type FileHandle, open, rename } from "node:fs/promises";

/** The writing calls of this package. A test hands in one that fails; everything else uses `nodeDisk`. */
export interface Disk {
  /** Opens for writing (and reading); creates the file when it is missing. */
  open(path: string, flags: "w+" | "r+" | "a"): Promise<FileHandle>;
  /** Writes all bytes, at a position or (null) at the end. */
  write(handle: FileHandle, bytes: Uint8Array, position: number | null): Promise<void>;
  /** Returns when the bytes are on the medium. */
  sync(handle: FileHandle): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number | null): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const at = position === null ? null : position + done;
    const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.byteLength - done, 2 ** 30), at);
    done += bytesWritten;
  }
}

/** The real disk. */
export const nodeDisk: Disk = {
  open: (path, flags) => open(path, flags),
  write: writeFully,
  sync: (handle) => handle.sync(),
  rename,
};

/** Makes renames and new names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
