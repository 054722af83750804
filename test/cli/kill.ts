import { expect } from "bun:test";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { endOf, inTurn, type Ran, type RunOptions, safedelta, startSafedelta } from "./run.ts";

/** What can be seen from outside of a run's progress: the files at and beside its output, with their sizes. */
async function trace(out: string): Promise<string> {
  const seen = await Promise.all(
    [out, `${out}.safedelta-work`].map(async (folder) => {
      const names = await readdir(folder, { recursive: true }).catch((): string[] => []);
      const sizes = await Promise.all(
        names.map((name) =>
          stat(join(folder, name)).then(
            ({ size }) => size,
            () => 0,
          ),
        ),
      );
      return names.map((name, i) => `${name} ${sizes[i]}`);
    }),
  );
  return seen.flat().sort().join("\n");
}

/** Run a command and send a signal when its files have changed `nChanges` times; it may end before. */
function killedAfter(
  cwd: string,
  nChanges: number,
  signal: "SIGKILL" | "SIGINT",
  args: readonly string[],
  out: string,
  options: RunOptions = {},
): Promise<Ran> {
  return inTurn(async () => {
    const child = startSafedelta(cwd, args, options);
    const end = endOf(child);
    let [last, left] = [await trace(out), nChanges];
    while (left > 0 && child.exitCode === null && child.signalCode === null) {
      await Bun.sleep(3);
      const now = await trace(out);
      if (now !== last) [last, left] = [now, left - 1];
    }
    child.kill(signal);
    return end;
  });
}

/**
 * Run a command in a folder and kill it when its files at `out` have changed `nChanges` times; begun anew, with an earlier
 * signal, when the run was over before the signal came.
 */
export async function killedBeforeItsEnd(
  cwd: string,
  nChanges: number,
  signal: "SIGKILL" | "SIGINT",
  args: readonly string[],
  out: string,
  options: RunOptions = {},
): Promise<Ran> {
  for (let n = nChanges; ; n = Math.max(1, n >> 1)) {
    const ran = await killedAfter(cwd, n, signal, args, out, options);
    const over = ran.code === 0 || ran.stderr.includes("is there already");
    if (!over) return ran;
    await rm(out, { recursive: true });
  }
}

/** The same command after its last kill: it goes on to its end, or says that the kill came after its very last rename. */
export async function goOn(cwd: string, args: readonly string[], options: RunOptions = {}): Promise<void> {
  const last = await safedelta(cwd, args, options);
  if (last.code !== 0) expect(last).toMatchObject({ code: 2, stderr: expect.stringContaining("is there already") });
}
