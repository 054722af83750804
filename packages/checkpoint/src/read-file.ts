import { closeDescriptor, openDescriptor, readDescriptor, statDescriptor } from "./descriptor.ts";
import { CheckpointError, guardIo } from "./errors.ts";

/** Most bytes asked of one read call; Linux serves at most 2 GiB less a page. */
const readLimitBytes = 2 ** 30;

/** A file opened for reads at any position; nothing is buffered. */
export interface RandomAccessFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** The bytes [start, end). Throws `CheckpointError` ("format") when the file ends earlier. */
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

async function readFully(fd: number, path: string, start: number, end: number) {
  const bytes = new Uint8Array(end - start);
  let done = 0;
  while (done < bytes.length) {
    const wanted = Math.min(bytes.length - done, readLimitBytes);
    const { bytesRead } = await readDescriptor(fd, bytes, done, wanted, start + done);
    if (bytesRead === 0)
      throw new CheckpointError(
        "format",
        `${path}: ends at byte ${start + done}, before ${end}: it was cut short while in use`,
        {
          file: path,
        },
      );
    done += bytesRead;
  }
  return bytes;
}

/** Opens a file for reading. Throws `CheckpointError` ("not-found" or "io"). */
export async function openFile(path: string): Promise<RandomAccessFile> {
  return guardIo("open the file", path, async () => {
    const fd = await openDescriptor(path, "r");
    const stats = await statDescriptor(fd);
    if (!stats.isFile()) {
      await closeDescriptor(fd);
      throw new CheckpointError("io", `${path}: is not a regular file`, { file: path });
    }
    let open = true;
    return {
      path,
      sizeBytes: stats.size,
      read: (start, end) => guardIo("read the file", path, () => readFully(fd, path, start, end)),
      close: async () => {
        if (open) await closeDescriptor(fd);
        open = false;
      },
    };
  });
}
