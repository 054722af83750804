import { type Engine, type EngineChoice, openEngine } from "@safedelta/engine";
import { peakResidentBytes } from "@safedelta/pipeline";
import { formatBytes } from "@safedelta/report";
import type { Io } from "./io.ts";

/** The options that decide what computes. */
export interface EngineOptions {
  readonly engine: EngineChoice;
  readonly threads?: number;
}

/** Open the engine asked for, and tell which it is and why. @throws as `openEngine` */
export async function openTold({ engine: choice, threads }: EngineOptions, io: Pick<Io, "note">): Promise<Engine> {
  const { engine, reason } = await openEngine(choice, { threads });
  const { name, description, threads: taken } = engine.info;
  const nThreads = name === "native" ? `, ${taken} ${taken === 1 ? "thread" : "threads"}` : "";
  io.note(`engine: ${name}, ${description}${nThreads} (${reason})`);
  if (threads !== undefined && name !== "native")
    io.note(`--threads ${threads}: without effect on the engine ${name}; only native takes a number of threads`);
  return engine;
}

/** The peak memory of the process, told as a remark. */
export function toldPeak(io: Pick<Io, "note">): number {
  const bytes = peakResidentBytes();
  io.note(`peak memory: ${formatBytes(bytes)}`);
  return bytes;
}
