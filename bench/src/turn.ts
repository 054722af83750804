/** Sides that take turns, each turn in a process of its own, so that neither finds the other's memory or caches. */

/** What every turn measures. */
export interface Turn {
  readonly tokensPerSecond: number;
  /** For each second that a core worked for the process. */
  readonly tokensPerCpuSecond: number;
  readonly versions: string;
}

/** Processor time of all threads of this process, in seconds: other work on the machine hardly touches it. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Run a turn of ours: this program again, with what the turn is to do. @throws Error as `peerTurn` */
export function ownTurn<T extends Turn>(words: readonly string[], threads: string, input = ""): T {
  return run(process.execPath, [...process.argv.slice(1), ...words], threads, input);
}

/**
 * Run a turn of the peer: a script of bench/peers that reads its task from stdin.
 * @throws Error when the process fails
 */
export function peerTurn<T extends Turn>(script: string, threads: string, task: object): T {
  const path = Bun.fileURLToPath(new URL(`../peers/${script}`, import.meta.url));
  return run(process.env.SAFEDELTA_PYTHON ?? "python3", [path], threads, JSON.stringify(task));
}

function run<T extends Turn>(command: string, args: readonly string[], threads: string, input: string): T {
  const env = { ...process.env, SAFEDELTA_THREADS: threads };
  const { stdout, exitCode } = Bun.spawnSync([command, ...args], { env, stdin: Buffer.from(input), stderr: "inherit" });
  if (exitCode === 0) return JSON.parse(stdout.toString().trim().split("\n").at(-1) as string);
  throw new Error(
    `${command} ended with code ${exitCode}; the peer needs torch and transformers (set SAFEDELTA_PYTHON)`,
  );
}

/** Whole numbers below 2 ** 24, the same in each run. */
export function randomNumbers(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 8;
  };
}
