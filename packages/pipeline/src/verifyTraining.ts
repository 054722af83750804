import { join } from "node:path";
import { PipelineError } from "./errors.ts";
import { readJson } from "./files.ts";
import { hashModel, openModelFiles } from "./models.ts";
import type { Progress } from "./progress.ts";
import type { Verification } from "./verify.ts";
import { checkFiles, checkTensors, type WrittenFiles } from "./verifyFiles.ts";

/** What of training.json is verified. */
interface Recorded extends Pick<WrittenFiles, "tensors" | "files"> {
  readonly model: { readonly spec: string; readonly hash: string };
}

/** Whether `finetune` wrote the folder. */
export function isTrainingOutput(folder: string): Promise<boolean> {
  return Bun.file(join(folder, "training.json")).exists();
}

/**
 * Check a fine-tuned model or adapter: the hash of every tensor and file, and of the model it was trained from where that is at
 * hand. The training itself is not run again.
 * @throws PipelineError `incompatible` for a damaged training.json; CheckpointError
 */
export async function verifyTraining(
  { folder, offline }: { readonly folder: string; readonly offline: boolean },
  progress: Progress,
): Promise<Omit<Verification, "stateChecked" | "stateProblem" | "nNumbers">> {
  const { tensors, files, model } = await readRecorded(join(folder, "training.json"));
  const written = { record: "training.json", tensors, files } as const;
  const notes: string[] = [];
  const problems = [
    ...(await checkTensors({ folder, offline }, written, progress)),
    ...(await checkFiles(folder, written, notes)),
  ];
  const input = await checkModel(model, offline, progress);
  return {
    nTensors: Object.keys(tensors).length,
    nFiles: Object.keys(files).length,
    ...("problem" in input
      ? { inputsChecked: true, problems: [...problems, ...input.problem] }
      : { inputsChecked: false, inputsProblem: input.why, problems }),
    notes,
  };
}

/** @throws PipelineError `incompatible` */
async function readRecorded(path: string): Promise<Recorded> {
  const recorded = await readJson<Recorded | null>(path);
  const { tensors, files, model } = recorded ?? {};
  if (recorded && [tensors, files, model].every((part) => typeof part === "object" && part !== null)) return recorded;
  throw new PipelineError("incompatible", `${path}: is damaged, parts of it are missing. Train the model again.`);
}

/** Whether the model that was trained is another now, or why it cannot be looked at. */
async function checkModel(
  { spec, hash }: Recorded["model"],
  offline: boolean,
  progress: Progress,
): Promise<{ readonly problem: readonly string[] } | { readonly why: string }> {
  const opened = await openModelFiles(spec, offline, progress).catch((error: Error) => error);
  if (opened instanceof Error) return { why: opened.message };
  await using model = opened;
  progress.stage("hashing the model", 1);
  const found = await hashModel(model);
  return { problem: found.sha256 === hash ? [] : [`The model ${spec} has changed since it was trained from.`] };
}
