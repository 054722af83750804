import { appendFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Step, wordsOf } from "@safedelta/experiment";
import { shellLine } from "@safedelta/pipeline";
import { withoutOptions } from "../recipe.ts";

/** Where a step runs, and who hears of it. */
export interface StepPlace {
  readonly out: string;
  /** Flags of every step that has them: engine, threads. */
  flagsOf(command: string): readonly string[];
  /** The line that a step last said of its progress. */
  onLine(step: Step, line: string): void;
}

/** How a step ended. */
export interface StepEnd {
  readonly code: number;
  readonly ms: number;
  readonly log: string;
  /** The JSON that it printed; undefined where it failed. */
  readonly document?: Readonly<Record<string, unknown>>;
  /** The last lines that it said. */
  readonly tail: string;
  /** What it warned of, the first line of each. */
  readonly warnings: readonly string[];
}

/** A step under way. */
export interface RunningStep {
  readonly end: Promise<StepEnd>;
  interrupt(): void;
}

const main = join(import.meta.dir, "..", "main.ts");

/** Start a step as a process of its own, which ends with this one; what it says goes to its log. */
export function startStep(step: Step, place: StepPlace): RunningStep {
  const words = [...wordsOf(step), ...place.flagsOf(step.command)];
  const child = Bun.spawn([process.execPath, main, ...words, "--json", "--no-color"], {
    env: { ...withoutOptions(process.env), SAFEDELTA_PARENT: String(process.pid) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  return { end: follow(step, words, child, place), interrupt: () => child.kill("SIGINT") };
}

async function follow(
  step: Step,
  words: readonly string[],
  child: Bun.Subprocess<"ignore", "pipe", "pipe">,
  { out, onLine }: StepPlace,
): Promise<StepEnd> {
  const started = performance.now();
  const log = join(out, "logs", `${step.id}.txt`);
  await mkdir(join(out, "logs"), { recursive: true });
  await rm(log, { force: true });
  await appendFile(log, `safedelta ${shellLine(words)}\n`);
  const said = linesWith("warning: ");
  let tail = "";
  const listen = async () => {
    for await (const piece of child.stderr.pipeThrough(new TextDecoderStream())) {
      await appendFile(log, piece);
      said.push(piece);
      tail = `${tail}${piece}`.slice(-4000);
      onLine(step, tail.trimEnd().split("\n").at(-1) ?? "");
    }
  };
  const [text, , code] = await Promise.all([new Response(child.stdout).text(), listen(), child.exited]);
  const ms = performance.now() - started;
  return {
    ...{ code, ms, log, tail: tail.trimEnd(), warnings: said.found },
    document: code === 0 ? JSON.parse(text) : undefined,
  };
}

/** The lines of a text that comes in pieces which begin so, without this beginning. */
function linesWith(beginning: string): { readonly found: readonly string[]; push(piece: string): void } {
  const found: string[] = [];
  let open = "";
  const push = (piece: string) => {
    const lines = `${open}${piece}`.split("\n");
    open = lines.pop() as string;
    for (const line of lines) if (line.startsWith(beginning)) found.push(line.slice(beginning.length));
  };
  return { found, push };
}
