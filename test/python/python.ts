import { join } from "node:path";

const root = join(import.meta.dir, "..", "..");
const asked = process.env.SAFEDELTA_PYTHON;
const executable = asked === "install" ? install() : asked;

/** The interpreter of an environment with all that is wanted, made at the first call. @throws with its stderr when that fails */
function install(): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([
    "bash",
    join(root, "scripts/fetch-python.sh"),
    join(root, ".cache/python"),
  ]);
  if (exitCode !== 0) throw new Error(`fetch-python.sh: exit ${exitCode}\n${stderr}`);
  return stdout.toString().trim();
}

/** Why comparisons with Python are skipped; empty where they run. */
export const absent = executable ? "" : "SAFEDELTA_PYTHON is not set";

/**
 * Run a script of this folder and parse the JSON document that it prints.
 * @throws with its stderr when it fails
 */
export async function runPython<T>(script: string, ...args: readonly string[]): Promise<T> {
  if (!executable) throw new Error(absent);
  // One thread: on a busy machine torch's threads wait for each other most of the time.
  const env = { ...process.env, HF_HUB_OFFLINE: "1", OMP_NUM_THREADS: "1", TOKENIZERS_PARALLELISM: "false" };
  const child = Bun.spawn([executable, join(import.meta.dir, script), ...args], {
    env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const textOf = (stream: ReadableStream) => new Response(stream).text();
  const [stdout, stderr, code] = await Promise.all([textOf(child.stdout), textOf(child.stderr), child.exited]);
  if (code !== 0) throw new Error(`${script}: exit ${code}\n${stderr}`);
  return JSON.parse(stdout);
}

/** What the Python at hand can do. */
export interface Abilities {
  /** "library version, …" */
  readonly versions: string;
  /** Model types that transformers knows, of those asked for. */
  readonly families: readonly string[];
  readonly peft: boolean;
}

/** Ask Python which of these model types it can load; nothing at all without a Python. */
export async function askAbilities(families: readonly string[]): Promise<Abilities> {
  return executable ? runPython("abilities.py", ...families) : { versions: "", families: [], peft: false };
}
