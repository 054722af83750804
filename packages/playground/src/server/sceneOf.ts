import type { Scene } from "../scene.ts";
import type { Sources } from "./sources.ts";

/** What the page is told at first. */
export function sceneOf({ models, safe, prompts, maxNewTokens, hostEngine, progress }: Sources): Scene {
  return {
    models: models.map(({ checkpoint: _, files: __, ...shown }) => shown),
    repair: safe && { nExamples: safe.length, nTokens: safe.reduce((sum, { length }) => sum + length, 0) },
    prompts,
    maxNewTokens,
    hostEngine,
    watches: progress !== undefined,
  };
}
