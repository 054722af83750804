import { type Engine, type EngineChoice, openEngine } from "@safedelta/engine";
import { peakResidentBytes } from "@safedelta/pipeline";
import { formatBytes } from "@safedelta/report";
import type { Io } from "./io.ts";

/** Open the engine asked for, and tell which it is and why. @throws as `openEngine` */
export async function openTold(choice: EngineChoice, io: Pick<Io, "note">): Promise<Engine> {
  const { engine, reason } = await openEngine(choice);
  io.note(`engine: ${engine.info.name}, ${engine.info.description} (${reason})`);
  return engine;
}

/** The peak memory of the process, told as a remark. */
export function toldPeak(io: Pick<Io, "note">): number {
  const bytes = peakResidentBytes();
  io.note(`peak memory: ${formatBytes(bytes)}`);
  return bytes;
}
