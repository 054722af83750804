import { readFile } from "node:fs/promises";
import type { Disk } from "./disk.ts";
import { guardIo, isAbsent } from "./errors.ts";
import { isJsonObject } from "./json-file.ts";

/** What is kept with a finished tensor: its hash, and whatever else its maker adds, of which JSON can hold everything. */
export interface TensorNote {
  /** Of its bytes. Who makes them takes it, once: without instructions of its own for it, a processor spends more on a hash than on writing. */
  readonly sha256: string;
}

/** A finished tensor. */
export interface JournalEntry {
  readonly tensor: string;
  readonly note: TensorNote;
}

/** What a journal says; only lines up to the first damaged one count. */
export interface JournalRecord {
  /** Identity of the plan it belongs to. */
  readonly plan: string;
  readonly entries: readonly JournalEntry[];
  /** All tensors were done and the files began to move to their final place. */
  readonly committed: boolean;
  /** Bytes of the lines that count. */
  readonly goodBytes: number;
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whole lines that are JSON objects, up to the first that is not (a torn write). */
function goodLines(text: string): { lines: Record<string, unknown>[]; goodBytes: number } {
  const lines: Record<string, unknown>[] = [];
  let end = 0;
  for (let next = text.indexOf("\n"); next >= 0; next = text.indexOf("\n", end)) {
    const value = parseLine(text.slice(end, next));
    if (!value) break;
    lines.push(value);
    end = next + 1;
  }
  return { lines, goodBytes: Buffer.byteLength(text.slice(0, end)) };
}

function isEntry(line: Record<string, unknown>): boolean {
  return typeof line.tensor === "string" && isJsonObject(line.note) && typeof line.note.sha256 === "string";
}

/** Reads a journal; undefined when there is none, or none with a first line. Throws `CheckpointError` ("io"). */
export async function readJournal(path: string): Promise<JournalRecord | undefined> {
  const text = await guardIo("read the journal", path, async () => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if (isAbsent(error)) return "";
      throw error;
    }
  });
  const { lines, goodBytes } = goodLines(text);
  const [first, ...rest] = lines;
  if (typeof first?.plan !== "string") return undefined;
  const entries = rest.filter(isEntry) as unknown as JournalEntry[];
  return { plan: first.plan, entries, committed: rest.some((line) => line.committed === true), goodBytes };
}

/**
 * The list of finished work, one JSON line each, durable when `append` returns. A line that could not be written leaves
 * no trace: the next one overwrites it.
 */
export class Journal {
  private constructor(
    private readonly disk: Disk,
    private readonly fd: number,
    private goodBytes: number,
  ) {}

  /** Starts an empty journal for a plan. */
  static async create(path: string, plan: string, disk: Disk): Promise<Journal> {
    const journal = new Journal(disk, await disk.open(path, "w+"), 0);
    return journal.closeOnError(() => journal.append({ plan }));
  }

  /** Goes on after the lines that count. */
  static async resume(path: string, { goodBytes }: JournalRecord, disk: Disk): Promise<Journal> {
    return new Journal(disk, await disk.open(path, "r+"), goodBytes);
  }

  private async closeOnError(work: () => Promise<void>): Promise<Journal> {
    try {
      await work();
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Adds a line; returns when it is on the medium. */
  async append(line: object): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
    await this.disk.truncate(this.fd, this.goodBytes);
    await this.disk.write(this.fd, bytes, this.goodBytes);
    await this.disk.sync(this.fd);
    this.goodBytes += bytes.length;
  }

  close(): Promise<void> {
    return this.disk.close(this.fd);
  }
}
