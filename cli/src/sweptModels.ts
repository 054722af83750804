import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { workName } from "@safedelta/checkpoint";
import type { Engine } from "@safedelta/engine";
import {
  type ApplyOptions,
  hashInputs,
  type InputHashes,
  outputProblems,
  type Progress,
  planApply,
  requireDisk,
  type SweepOptions,
  stampOf,
  toolVersion,
} from "@safedelta/pipeline";
import { type SavedReport, wasAltered } from "@safedelta/report";
import { recipeOf } from "./repairFiles.ts";

/**
 * The models of a sweep that are still to be made, checked as apply checks each, and the disk for all of them. A model that an
 * interrupted run of the same sweep has finished is not among them: it was made by the same recipe, from the same inputs, by the
 * same engine and version, and every tensor and file of it is as it was written.
 * @throws as `planApply`, PipelineError `resources` when the disk has no room for all
 */
export async function modelsToMake(
  engine: Engine,
  request: SweepOptions,
  models: readonly ApplyOptions[],
  out: string,
  progress: Progress,
): Promise<ApplyOptions[]> {
  let inputs: Promise<InputHashes> | undefined;
  const hashes = () => {
    inputs ??= hashInputs(request, progress);
    return inputs;
  };
  const open: ApplyOptions[] = [];
  let bytes = 0;
  for (const model of models) {
    if (await isFinished(engine, model, hashes, progress)) continue;
    const { estimate } = await planApply(engine, model, progress);
    bytes += estimate.outputBytes + estimate.workBytes;
    open.push(model);
  }
  const begun = open.map((model) => join(model.out, workName));
  await requireDisk(out, bytes, "sweep", begun);
  return open;
}

async function isFinished(
  { info }: Engine,
  model: ApplyOptions,
  hashes: () => Promise<InputHashes>,
  progress: Progress,
): Promise<boolean> {
  const work = await readdir(join(model.out, workName), { recursive: true, withFileTypes: true }).catch(() => []);
  const saved = await readSaved(model.out);
  if (model.overwrite || work.some((entry) => entry.isFile()) || saved === undefined) return false;
  const made = [saved.toolVersion, saved.engine, saved.recipe];
  if (!Bun.deepEquals(made, [toolVersion, stampOf(info), recipeOf(model, info.name, "model")])) return false;
  const { aligned, tuned, state } = await hashes();
  const from = [saved.aligned.hash, saved.tuned.hash, saved.state?.hash];
  if (!Bun.deepEquals(from, [aligned, tuned, state])) return false;
  return (await outputProblems(model, progress)).length === 0;
}

/** Undefined where there is none, or one that was changed. */
async function readSaved(folder: string): Promise<SavedReport | undefined> {
  const saved: SavedReport | undefined = await Bun.file(join(folder, "safedelta.json"))
    .json()
    .catch(() => undefined);
  return wasAltered(saved) ? undefined : saved;
}
