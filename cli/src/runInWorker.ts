import { formatBytes } from "@safedelta/report";
import { exitCode, type Told, ToldError } from "./exitCode.ts";
import type { Io } from "./io.ts";
import type { GivenOption } from "./recipe.ts";

/** A command with all that it needs, as it is handed to a worker. */
export interface Job {
  readonly command: string;
  readonly options: unknown;
  readonly args: readonly string[];
  readonly given: ReadonlyMap<string, GivenOption>;
}

/** What a worker says: output and progress as in `Io`, then one of the last two. */
export type Message =
  | { readonly kind: "print" | "note" | "warn"; readonly text: string }
  | { readonly kind: "document"; readonly value: unknown }
  | { readonly kind: "stage"; readonly name: string; readonly total: number }
  | { readonly kind: "step"; readonly detail: string | undefined }
  | { readonly kind: "done"; readonly code: number | undefined }
  | { readonly kind: "failed"; readonly told: Told };

/** How often the memory is looked at. */
const watchMs = 250;

/**
 * Run a command in a worker, which alone opens the engine: its calls block for seconds, while here progress is drawn and signals are heard.
 * @throws ToldError with what the worker tells, or when the process takes more memory than --max-memory allows
 */
export async function runInWorker(job: Job, io: Io): Promise<number | undefined> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const watch = watchMemory(job, reject);
  worker.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.kind === "done") resolve(data.code);
    else if (data.kind === "failed") reject(new ToldError(data.told));
    else hear(data, io);
  };
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage(job);
  try {
    return await promise;
  } finally {
    clearInterval(watch);
    worker.terminate();
  }
}

function hear(message: Exclude<Message, { kind: "done" | "failed" }>, io: Io): void {
  if (message.kind === "document") io.document(message.value);
  else if (message.kind === "stage") io.progress.stage(message.name, message.total);
  else if (message.kind === "step") io.progress.step(message.detail);
  else if (message.kind === "warn") io.progress.warn(message.text);
  else io[message.kind](message.text);
}

/** Whether an interrupted command keeps what it finished, so that the same one goes on; a sweep does for the models it writes. */
export function goesOn(command: string | undefined, out: unknown): boolean {
  return (
    ["prepare", "apply", "finetune", "eval", "data answer", "experiment"].includes(command ?? "") ||
    (command === "sweep" && out !== undefined)
  );
}

/** The command's own estimate refuses before the work; this sees to it that the estimate was right. */
function watchMemory({ command, options }: Job, refuse: (error: Error) => void): NodeJS.Timeout | undefined {
  const { maxMemory: limit, out } = options as { readonly maxMemory?: number; readonly out?: string };
  const next = goesOn(command, out)
    ? "What is finished is kept; give more, and the same command goes on."
    : "Give more.";
  if (limit === undefined || process.memoryUsage.rss() > limit) return undefined;
  return setInterval(() => {
    const taken = process.memoryUsage.rss();
    if (taken <= limit) return;
    const text = `the process takes ${formatBytes(taken)} of memory, more than --max-memory ${formatBytes(limit)}. ${next}`;
    refuse(new ToldError({ text, code: exitCode.resources }));
  }, watchMs);
}
