import { mkdir, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { PipelineError } from "./errors.ts";
import { guardFile } from "./files.ts";

/** A lock is an empty file of this name, the host, the process and its start, and a number, parted by "+". */
const prefix = ".safedelta-lock+";

/** Whether a name in an output folder is that of a lock. */
export function isLock(name: string): boolean {
  return name.startsWith(prefix);
}

let nLocks = 0;

/**
 * Keep every other run out of a folder until disposal; makes the folder, and takes it away again when nothing came into it. Each run
 * has a file of its own, so what a killed run left is known by its process and harmless; of two that start in the very same moment
 * both may be refused, never neither.
 * @throws PipelineError `usage` when another run works there, as `guardFile` when the folder cannot be made
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const own = await lockName(process.pid);
  const path = join(folder, `${own}+${nLocks++}`);
  const release = async () => {
    await rm(path, { force: true });
    await rmdir(folder).catch(() => {});
  };
  await guardFile(folder, async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(path, "");
  });
  try {
    await requireAlone(folder, path);
  } catch (error) {
    await release();
    throw error;
  }
  return { [Symbol.asyncDispose]: release };
}

async function requireAlone(folder: string, own: string): Promise<void> {
  for (const name of await removeDeadLocks(folder)) {
    const [, host, pid] = name.split("+");
    const path = join(folder, name);
    if (path !== own) throw busy(folder, host, pid, path);
  }
}

/** Whether a run works in a folder; looked at only. Of another host's run it cannot be known, and is taken for so. */
export async function isLocked(folder: string): Promise<boolean> {
  return (await locksIn(folder).catch(() => [])).some(({ isLiving }) => isLiving);
}

/**
 * Remove the locks of this host's processes that are no more.
 * @returns the names of the locks that stay
 */
async function removeDeadLocks(folder: string): Promise<string[]> {
  const locks = await locksIn(folder);
  for (const { name, isLiving } of locks) if (!isLiving) await rm(join(folder, name), { force: true });
  return locks.filter(({ isLiving }) => isLiving).map(({ name }) => name);
}

async function locksIn(folder: string): Promise<{ readonly name: string; readonly isLiving: boolean }[]> {
  const names = (await readdir(folder)).filter(isLock);
  return Promise.all(
    names.map(async (name) => {
      const [, host, pid] = name.split("+");
      return { name, isLiving: host !== here() || (await lives(name, Number(pid))) };
    }),
  );
}

function busy(folder: string, host: string, pid: string, path: string): PipelineError {
  const where = host === here() ? `process ${pid}` : `process ${pid} on ${host}; if that is gone, remove ${path}`;
  return new PipelineError(
    "usage",
    `${folder}: another run is writing here (${where}). Wait for its end, or choose another --out.`,
  );
}

function here(): string {
  return hostname().replaceAll(/[+/]/g, "-");
}

/** The name of a process's locks: its start tells it from a later process of the same number. */
async function lockName(pid: number): Promise<string> {
  return `${prefix}${here()}+${pid}+${await startOf(pid)}`;
}

async function lives(name: string, pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return !ended.includes((await statOf(pid))[0]) && name.startsWith(`${await lockName(pid)}+`);
}

/** States of a process that was killed and whose parent has not asked for it yet. */
const ended: readonly (string | undefined)[] = ["Z", "X"];

/** Clock ticks from boot to the start of a process; "any" where the system does not tell. */
async function startOf(pid: number): Promise<string> {
  return (await statOf(pid))[19] ?? "any";
}

/** The fields of /proc/PID/stat from the third, the state, on (proc(5)); few or none where the system does not tell. */
async function statOf(pid: number): Promise<string[]> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
