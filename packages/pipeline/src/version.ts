import type { EngineInfo } from "@safedelta/engine";

/** Version of the tool, kept with everything it writes. */
export const toolVersion = "0.1.0";

/** What of an engine is kept with a result: what decides its bytes, not how many threads a machine gave it. */
export type EngineStamp = Pick<EngineInfo, "name" | "version" | "description">;

/** The stamp of an open engine. */
export function stampOf({ name, version, description }: EngineInfo): EngineStamp {
  return { name, version, description };
}
