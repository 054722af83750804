import type { Progress } from "@safedelta/pipeline";
import { visible } from "@safedelta/report";
import { terminalProgress } from "./progress.ts";

/** Where a command writes: results to stdout, everything else to stderr. Disposing ends the progress that is drawn. */
export interface Io extends Disposable {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
  readonly progress: Progress;
  /** The result for a person (not printed with --json). */
  print(text: string): void;
  /** The result for a program: one JSON document (printed only with --json). */
  document(value: unknown): void;
  /** A remark on stderr, left out with --quiet. */
  note(text: string): void;
}

/** What decides how a command speaks. */
export interface IoOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly progress: boolean;
  readonly color: boolean;
}

const styles = { red: 31, yellow: 33 } as const;

/** A word for stderr, coloured where it is a terminal; NO_COLOR and FORCE_COLOR have their say, --no-color the last. */
export function paint(text: string, style: keyof typeof styles, color: boolean): string {
  const { NO_COLOR = "", FORCE_COLOR = "", TERM } = process.env;
  const wanted =
    NO_COLOR === "" && ((FORCE_COLOR !== "" && FORCE_COLOR !== "0") || (process.stderr.isTTY && TERM !== "dumb"));
  return color && wanted ? `\u001b[${styles[style]}m${text}\u001b[39m` : text;
}

/** A piece of an answer as it comes, without a line end (not printed with --json). For commands that run in no worker. */
export function printPiece({ json }: Pick<Io, "json">, text: string): void {
  if (!json) process.stdout.write(visible(text));
}

/** The process's own streams behind `Io`. Texts of files and models cannot command the terminal; a JSON document has them as they are. */
export async function processIo(options: IoOptions): Promise<Io> {
  const { json, quiet, verbose, color } = options;
  const terminal = process.stderr.isTTY === true && process.env.CI === undefined;
  const note = (text: string) => {
    if (!quiet) process.stderr.write(`${visible(text)}\n`);
  };
  const progress = await terminalProgress({
    shown: options.progress && !quiet,
    terminal,
    warning: paint("warning:", "yellow", color),
    note: (text) => process.stderr.write(text),
  });
  return {
    json,
    quiet,
    verbose,
    color,
    progress,
    print: (text) => {
      if (!json) process.stdout.write(`${visible(text)}\n`);
    },
    document: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    note,
    [Symbol.dispose]: () => progress[Symbol.dispose](),
  };
}
