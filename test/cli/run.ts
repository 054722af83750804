import { availableParallelism } from "node:os";
import { join } from "node:path";

/** The command line as a child process: what it printed, and how it ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is started. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Give it a terminal by way of script(1), which sends both streams to stdout. */
  readonly terminal?: boolean;
}

const root = join(import.meta.dir, "..", "..");
const start = join(root, "scripts", "start.ts");

/** The surroundings of every run: none of the user's own settings, no network. */
function surroundings(env: RunOptions["env"]): Record<string, string | undefined> {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SAFEDELTA_")));
  return { ...own, HF_HUB_OFFLINE: "1", NO_COLOR: "1", CI: undefined, ...env };
}

/** Start `safedelta ARGS…` in a folder without waiting for its end. */
export function startSafedelta(
  cwd: string,
  args: readonly string[],
  { env, stdin = "", terminal = false }: RunOptions = {},
) {
  const words = [process.execPath, start, "cli/src/main.ts", ...args];
  const quoted = words.map((word) => `'${word}'`).join(" ");
  return Bun.spawn(terminal ? ["script", "--quiet", "--return", "--command", quoted, "/dev/null"] : words, {
    cwd,
    env: surroundings(env),
    stdin: new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Runs that may go on at once, when tests run concurrently. */
let free = Math.min(4, availableParallelism() + 1);
const waiting: (() => void)[] = [];

/** Do some work with a child of its own when its turn has come. */
export async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (free === 0) await new Promise<void>((resolve) => waiting.push(resolve));
  else free--;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else free++;
  }
}

/** Run `safedelta ARGS…` in a folder to its end. */
export function safedelta(cwd: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return inTurn(() => endOf(startSafedelta(cwd, args, options)));
}

/** What a started command printed, once it has ended. */
export async function endOf(child: ReturnType<typeof startSafedelta>): Promise<Ran> {
  const textOf = (stream: ReadableStream) => new Response(stream).text();
  const [stdout, stderr, code] = await Promise.all([textOf(child.stdout), textOf(child.stderr), child.exited]);
  return { code, stdout, stderr };
}

/** Run a command that must succeed. @throws with its stderr when it does not */
export async function succeed(cwd: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const ran = await safedelta(cwd, args, options);
  if (ran.code !== 0) throw new Error(`safedelta ${args.join(" ")}: exit ${ran.code}\n${ran.stderr}`);
  return ran;
}

/** Run a command with --json that must succeed: its stdout must be one JSON document and nothing else. */
export async function jsonOf(cwd: string, args: readonly string[], options: RunOptions = {}) {
  const { stdout } = await succeed(cwd, [...args, "--json"], options);
  return JSON.parse(stdout);
}
