import type { Scene } from "../scene.ts";
import type { Sources } from "./sources.ts";

/** What the page is told at first. */
export function sceneOf(
  { models, safe, sweeps, prompts, maxNewTokens, hostEngine, progress }: Sources,
  mostBodyBytes: number,
): Scene {
  return {
    models: models.map(({ checkpoint: _, files: __, ...shown }) => shown),
    repair: safe && { nExamples: safe.length, nTokens: safe.reduce((sum, { length }) => sum + length, 0) },
    sweeps,
    prompts,
    maxNewTokens,
    mostBodyBytes,
    hostEngine,
    watches: progress !== undefined,
  };
}
