import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type JsonObject, locateHubFile, readJsonObject, resolveSpec, type TensorInfo } from "@safedelta/checkpoint";
import { assumedTensors, type ModelConfig, parseConfig } from "@safedelta/model";
import { openModelFiles, type Progress, tellOpening } from "@safedelta/pipeline";

/** What an estimate needs of a model. */
export interface DescribedModel {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/**
 * A model by its config and list of tensors. A Hub id and a folder without weights are taken by their config alone, so that nothing
 * large is downloaded: the tensors are then those that such a model has.
 * @throws CheckpointError, ModelError, PipelineError as opening the model does
 */
export async function describedModel(spec: string, offline: boolean, progress: Progress): Promise<DescribedModel> {
  const resolved = await resolveSpec(spec);
  if (resolved.kind === "hub") {
    const { onDownload } = tellOpening(progress);
    return byConfig(await locateHubFile({ ...resolved.id, path: "config.json" }, offline, onDownload));
  }
  if (resolved.kind === "folder" && !(await holdsWeights(resolved.path)))
    return byConfig(join(resolved.path, "config.json"));
  await using model = await openModelFiles(spec, offline, progress);
  return { config: model.config, tensors: model.checkpoint.tensors };
}

async function byConfig(path: string): Promise<DescribedModel> {
  const raw: JsonObject = await readJsonObject(path);
  const config = parseConfig(raw);
  return { config, tensors: assumedTensors(config, raw) };
}

async function holdsWeights(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => /^model\.safetensors(\.index\.json)?$/.test(name));
}
