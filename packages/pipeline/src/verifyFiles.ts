import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { classifyPath, companionNames, openAdapter, openCheckpoint } from "@safedelta/checkpoint";
import { sha256 } from "./files.ts";
import { type Progress, tellOpening } from "./progress.ts";

/** What an output says of itself: sha256 of every tensor and file by name. */
export interface WrittenFiles {
  /** The file that says so. */
  readonly record: "safedelta.json" | "training.json";
  readonly tensors: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, string>>;
}

/** What of the tensors in a folder is not as recorded. @throws CheckpointError */
export async function checkTensors(
  { folder, offline }: { readonly folder: string; readonly offline: boolean },
  { record, tensors }: WrittenFiles,
  progress: Progress,
): Promise<string[]> {
  const isAdapter = (await classifyPath(folder)) === "adapter";
  const output = isAdapter
    ? await openAdapter(folder)
    : await openCheckpoint(folder, { offline, ...tellOpening(progress) });
  const problems: string[] = [];
  progress.stage("hashing the output", Object.keys(tensors).length);
  try {
    for (const name of new Set([...Object.keys(tensors), ...output.tensors.keys()])) {
      if (!output.tensors.has(name)) problems.push(`${name} is missing.`);
      else if (!(name in tensors)) problems.push(`${name} is not in ${record}.`);
      else if (sha256((await output.read(name)).bytes) !== tensors[name])
        problems.push(`${name} was changed after it was written.`);
      progress.step(name);
    }
  } finally {
    await output.close();
  }
  return problems;
}

/** What loaders take up beside the files of a model: adapters, code, weights in other formats. */
const followed = /^adapter_|\.(py|bin|pt|pth|safetensors|gguf)$/;
/** What is written of a model and of an adapter without being named in `files`; the tensors in it were hashed. */
const ownFile = {
  model: /^(model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?|README\.md)$/,
  adapter: /^(adapter_model\.safetensors|README\.md)$/,
};

/** Names that stand in the folder and were not written with it, those that a loader would follow. */
async function foreignFiles(folder: string, { record, files }: WrittenFiles): Promise<string[]> {
  const companions = await companionNames(folder);
  const own = "adapter_config.json" in files ? ownFile.adapter : ownFile.model;
  const names = (await readdir(folder)).filter((name) => name !== record && !(name in files) && !own.test(name));
  return names.filter((name) => followed.test(name) || companions.includes(name));
}

/** Whoever publishes a model edits its card and its page, so that is no problem; a file beside the weights that loaders follow is. */
export async function checkFiles(folder: string, written: WrittenFiles, notes: string[]): Promise<string[]> {
  const problems: string[] = [];
  for (const [name, hash] of Object.entries(written.files)) {
    const found = await fileHash(join(folder, name));
    if (found === hash) continue;
    const what = found === undefined ? "is missing" : "was changed after it was written";
    if (name === "README.md" || name === "report.html") notes.push(`${name} ${what}: its numbers are not checked.`);
    else problems.push(`${name} ${what}.`);
  }
  const foreign = await foreignFiles(folder, written);
  return [...problems, ...foreign.map((name) => `${name} is not in ${written.record}.`)];
}

async function fileHash(path: string): Promise<string | undefined> {
  const file = Bun.file(path);
  return (await file.exists()) ? sha256(await file.bytes()) : undefined;
}
