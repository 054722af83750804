import { openAdapter } from "./adapter.ts";
import { classifyPath } from "./classify.ts";
import { CheckpointError } from "./errors.ts";
import type { JsonObject } from "./json-file.ts";
import { openCheckpoint } from "./open.ts";
import { openSafetensors } from "./safetensors.ts";
import { type TensorInfo, tensorBytes } from "./tensor.ts";

/** What a file or folder holds, without reading the weights. */
export interface PathFacts {
  readonly kind: "model" | "adapter" | "gguf" | "safetensors" | "state" | "unknown";
  /** config.json, adapter_config.json, or the safetensors metadata; empty otherwise. */
  readonly config: JsonObject;
  /** In the order of the file; of a model under Hugging Face names. */
  readonly tensors: readonly TensorInfo[];
  /** Bytes of all tensors as a reader sees them (GGUF: dequantised). */
  readonly tensorBytes: number;
  /** Names of the files beside the weights. */
  readonly companions: readonly string[];
}

/** An open thing with tensors. */
interface Open {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  close(): Promise<void>;
}

async function facts(
  kind: PathFacts["kind"],
  open: Open,
  config: JsonObject,
  companions: Iterable<string>,
): Promise<PathFacts> {
  const tensors = [...open.tensors.values()];
  await open.close();
  const total = tensors.reduce((sum, info) => sum + tensorBytes(info), 0);
  return { kind, config, tensors, tensorBytes: total, companions: [...companions] };
}

/**
 * Minimal facts about a local path. States and unknown things are named only: their contents are not this package's.
 * @throws CheckpointError "not-found" when nothing is there; as the opening of what is there
 */
export async function inspectPath(path: string): Promise<PathFacts> {
  const kind = await classifyPath(path);
  switch (kind) {
    case "absent":
      throw new CheckpointError("not-found", `${path}: there is no such file or folder`, { file: path });
    case "model":
    case "gguf": {
      const checkpoint = await openCheckpoint(path);
      return facts(kind, checkpoint, checkpoint.config, checkpoint.companions.keys());
    }
    case "adapter": {
      const adapter = await openAdapter(path);
      return facts(kind, adapter, adapter.config, adapter.companions.keys());
    }
    case "safetensors": {
      const file = await openSafetensors(path);
      return facts(kind, file, file.metadata, []);
    }
    default:
      return { kind, config: {}, tensors: [], tensorBytes: 0, companions: [] };
  }
}
