import { readdir } from "node:fs/promises";
import type { Checkpoint } from "./checkpoint.ts";
import { listCompanions } from "./companions.ts";
import { CheckpointError, guardIo } from "./errors.ts";
import { type JsonObject, readJsonObject } from "./json-file.ts";
import { safePath } from "./safe-path.ts";
import { openSafetensors } from "./safetensors.ts";
import { indexName, openSharded, type TensorSource, weightsName } from "./shards.ts";

/** Weights that are Python pickles: loading one runs the code inside it. */
const pickle = /\.(bin|pt|pth|ckpt|pkl)$/;

/** The error for a folder without safetensors weights: says when there are pickles instead. */
export function noWeights(folder: string, names: readonly string[], wanted: string): CheckpointError {
  const found = names.find((name) => pickle.test(name));
  if (!found)
    return new CheckpointError("not-found", `${folder}: holds neither ${wanted}; is it the folder of a model?`, {
      file: folder,
    });
  const advice =
    "convert it where you trust its source: load it in transformers and save_pretrained(…, safe_serialization=True)";
  return new CheckpointError(
    "unsupported",
    `${folder}/${found}: is a Python pickle, which runs code when it is loaded; ${advice}`,
    {
      file: `${folder}/${found}`,
    },
  );
}

async function openWeights(folder: string, onWarn: (message: string) => void): Promise<TensorSource> {
  const names = await guardIo("list the folder", folder, () => readdir(folder));
  if (names.includes(weightsName)) return openSafetensors(await safePath(folder, weightsName));
  if (names.includes(indexName)) return openSharded(folder, onWarn);
  throw noWeights(folder, names, `${weightsName} nor ${indexName}`);
}

function refuseQuantized(config: JsonObject, folder: string): void {
  if (config.quantization_config === undefined || config.quantization_config === null) return;
  const method = (config.quantization_config as { quant_method?: unknown }).quant_method ?? "unknown";
  throw new CheckpointError(
    "unsupported",
    `${folder}/config.json: the model is quantised (quantization_config, method ${method}); use its full-precision original`,
    { file: `${folder}/config.json` },
  );
}

/**
 * Opens a Hugging Face model folder: config.json, and `model.safetensors` (preferred, as transformers does) or its shards.
 * @param spec how the user named it, for reports
 * @throws CheckpointError for every broken rule; "unsupported" for pickled and quantised weights
 */
export async function openModelFolder(
  folder: string,
  spec: string,
  kind: "folder" | "hub",
  onWarn: (message: string) => void,
): Promise<Checkpoint> {
  const config = await readJsonObject(await safePath(folder, "config.json"));
  refuseQuantized(config, folder);
  const companions = await listCompanions(folder);
  const { tensors, read, readRows, close } = await openWeights(folder, onWarn);
  return { spec, kind, config, companions, tensors, read, readRows, close };
}
