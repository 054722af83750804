import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isResultsName } from "@safedelta/evaluation";
import { type ExperimentReport, type RepairReport, type TrainingReport, wasAltered } from "@safedelta/report";
import type { z } from "zod";
import { UsageError } from "../exitCode.ts";
import { checkedAs, parsedFile, readJsonAs } from "./readJsonAs.ts";
import { savedExperiment, savedRepair, savedResults, savedSample, savedTraining } from "./schemas.ts";

/** One finished evaluation with its answers. */
export interface SavedEvaluation {
  readonly path: string;
  readonly results: z.output<typeof savedResults>;
  readonly samples: readonly z.output<typeof savedSample>[];
}

/** What was found in output folders. */
export interface Outputs {
  readonly repairs: readonly { readonly folder: string; readonly report: RepairReport }[];
  readonly trainings: readonly TrainingReport[];
  readonly evaluations: readonly SavedEvaluation[];
  readonly experiments: readonly ExperimentReport[];
}

/**
 * Read output folders: of apply, of finetune, of eval, of an experiment; a folder that is none stands for the outputs right inside it.
 * @throws UsageError for a folder without any, or with a file that is broken or was changed
 */
export async function readOutputs(folders: readonly string[]): Promise<Outputs> {
  const all = joined(await Promise.all(folders.map(readAny)));
  return { ...all, evaluations: newest(all.evaluations) };
}

function joined(found: readonly Outputs[]): Outputs {
  return {
    repairs: found.flatMap(({ repairs }) => repairs),
    trainings: found.flatMap(({ trainings }) => trainings),
    evaluations: found.flatMap(({ evaluations }) => evaluations),
    experiments: found.flatMap(({ experiments }) => experiments),
  };
}

async function readAny(folder: string): Promise<Outputs> {
  const own = await readFolder(folder);
  if (own) return own;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const inner = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  const found = await Promise.all(inner.map(({ name }) => readFolder(join(folder, name))));
  const outputs = found.filter((one) => one !== undefined);
  if (outputs.length === 0)
    throw new UsageError(
      `${folder}: holds no safedelta.json (apply), training.json (finetune), results_….json (eval) or results.json (experiment), nor does a folder in it.`,
    );
  return joined(outputs);
}

/** Undefined for a folder that is no output. */
async function readFolder(folder: string): Promise<Outputs | undefined> {
  const names = (await readdir(folder).catch((): string[] => [])).sort();
  const results = names.filter(isResultsName);
  const [repaired, trained, tried] = ["safedelta.json", "training.json", "results.json"].map((name) =>
    names.includes(name),
  );
  if (!repaired && !trained && !tried && results.length === 0) return undefined;
  return {
    repairs: repaired ? [{ folder, report: await readRepair(join(folder, "safedelta.json")) }] : [],
    trainings: trained ? [await readJsonAs(join(folder, "training.json"), savedTraining, "a fine-tuning's")] : [],
    evaluations: await Promise.all(results.map((name) => readEvaluation(join(folder, name)))),
    experiments: tried ? [await readJsonAs(join(folder, "results.json"), savedExperiment, "an experiment's")] : [],
  };
}

async function readRepair(path: string): Promise<RepairReport> {
  const saved = await parsedFile(path);
  if (wasAltered(saved))
    throw new UsageError(`${path}: was changed after it was written, so nothing can be told of it.`);
  return checkedAs(saved, savedRepair, path, "a repair's");
}

async function readEvaluation(path: string): Promise<SavedEvaluation> {
  const results = await readJsonAs(path, savedResults, "an evaluation's");
  const file = join(dirname(path), basename(results.samplesFile));
  const text = await Bun.file(file)
    .text()
    .catch((error: Error) => {
      throw new UsageError(`${file}: cannot be read (${error.message}); ${path} names it.`);
    });
  const lines = text.split("\n").filter((line) => line !== "");
  return { path, results, samples: lines.map((line, i) => readSample(line, `${file}, line ${i + 1}`)) };
}

function readSample(line: string, place: string): z.output<typeof savedSample> {
  try {
    return checkedAs(JSON.parse(line), savedSample, place, "an answer");
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${place}: is no JSON (${(error as Error).message}).`);
  }
}

/** Of evaluations of one model on the same prompts by the same metrics, the newest. */
function newest(evaluations: readonly SavedEvaluation[]): SavedEvaluation[] {
  const byTime = evaluations.toSorted((a, b) => (a.results.time < b.results.time ? -1 : 1));
  const key = ({ results: { task, model, promptsSha256, metrics } }: SavedEvaluation) =>
    JSON.stringify([task, model, promptsSha256, metrics.map(({ metric }) => metric).sort()]);
  return [...new Map(byTime.map((evaluation) => [key(evaluation), evaluation])).values()];
}
