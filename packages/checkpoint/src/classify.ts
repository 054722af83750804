import { readdir, stat } from "node:fs/promises";
import { adapterConfigName } from "./adapter.ts";
import { errorCode, guardIo } from "./errors.ts";
import { indexName, weightsName } from "./shards.ts";

/** What a local path is, judged by its file names; "absent" when nothing is there. */
export type PathKind = "model" | "adapter" | "gguf" | "safetensors" | "state" | "unknown" | "absent";

/** The manifest of a prepared state, beside its safetensors files. */
const stateManifestName = "state.json";

function classifyFolder(names: readonly string[]): PathKind {
  if (names.includes(weightsName) || names.includes(indexName)) return "model";
  if (names.includes(adapterConfigName)) return "adapter";
  if (names.includes("config.json")) return "model";
  return names.includes(stateManifestName) ? "state" : "unknown";
}

function classifyFile(path: string): PathKind {
  if (path.endsWith(".gguf")) return "gguf";
  return path.endsWith(".safetensors") ? "safetensors" : "unknown";
}

/** Tells what lies at a path without opening it. Throws `CheckpointError` ("io") when the system refuses to look. */
export async function classifyPath(path: string): Promise<PathKind> {
  return guardIo("look at the path", path, async () => {
    try {
      const stats = await stat(path);
      return stats.isDirectory() ? classifyFolder(await readdir(path)) : classifyFile(path);
    } catch (error) {
      const code = errorCode(error);
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return "absent";
      throw error;
    }
  });
}
