import { readFileSync } from "node:fs";
import { PipelineError } from "./errors.ts";
import { freeText, neededText } from "./sizes.ts";

/** Largest resident set of this process so far, in bytes (VmHWM on Linux, getrusage elsewhere). */
export function peakResidentBytes(): number {
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readStatus())?.[1] ?? 0);
  return 1024 * kib("VmHWM") || process.resourceUsage().maxRSS * 1024;
}

function readStatus(): string {
  try {
    return readFileSync("/proc/self/status", "utf8");
  } catch {
    return "";
  }
}

/** What the runtime takes beside models: by itself, and of memory that it or the engine was given back and holds for the next use. Measured, rounded up. */
export const runtimeBytes = 224 * 2 ** 20;

/** @throws PipelineError `resources` when `neededBytes` is above the limit the user gave */
export function requireMemory(limitBytes: number | undefined, neededBytes: number, what: string): void {
  if (limitBytes === undefined || neededBytes <= limitBytes) return;
  throw new PipelineError(
    "resources",
    `${what} needs about ${neededText(neededBytes)} of memory, more than --max-memory ${freeText(limitBytes)}. Raise it to at least that.`,
  );
}
