import { readdir, readFile } from "node:fs/promises";
import { guardIo } from "./errors.ts";
import { safePath } from "./safe-path.ts";

/** A file beside the weights that belongs to the model; its bytes are handed on verbatim. */
export interface Companion {
  bytes(): Promise<Uint8Array>;
}

/** Files that say how text becomes ids. They only make sense together, so they are taken from one folder. */
const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "chat_template.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "tokenizer.model",
  "spiece.model",
];

/** One of these is a vocabulary; a folder without any has no tokenizer of its own. */
export const vocabularyFiles = ["tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model"];

const otherFiles = /^(config\.json|generation_config\.json|README\.md|(LICENSE|NOTICE|USE_POLICY)(\.(md|txt))?)$/i;

/** True for a file name that belongs to a model beside its weights. */
export function isCompanionName(name: string): boolean {
  return tokenizerFiles.includes(name) || otherFiles.test(name);
}

const otherDecidingFiles = [
  "config.json",
  "generation_config.json",
  "adapter_config.json",
  "adapter_model.safetensors",
];

/** True for a file that decides how a model is loaded or used (an adapter's too: loaders follow it); a licence does not. */
export function decidesLoading(name: string): boolean {
  return tokenizerFiles.includes(name) || otherDecidingFiles.includes(name);
}

/** A companion whose bytes are already known. */
export function companionOf(bytes: Uint8Array): Companion {
  return { bytes: async () => bytes };
}

function fileCompanion(path: string): Companion {
  return { bytes: () => guardIo("read the file", path, async () => new Uint8Array(await readFile(path))) };
}

/** Names of the companions in a folder, sorted. Throws `CheckpointError` ("io"). */
export async function companionNames(folder: string): Promise<string[]> {
  const names = await guardIo("list the folder", folder, () => readdir(folder));
  return names.filter(isCompanionName).sort();
}

/** The companions in a folder, in the order of their names. Throws `CheckpointError` for a link that leaves the folder. */
export async function listCompanions(folder: string): Promise<Map<string, Companion>> {
  const found = new Map<string, Companion>();
  for (const name of await companionNames(folder)) found.set(name, fileCompanion(await safePath(folder, name)));
  return found;
}

/**
 * Companions of a base with an adapter on top: all tokenizer files of the adapter when it brings a vocabulary (as PEFT's
 * AutoPeftModel does), else the base's; everything else from the base.
 */
export function overlayCompanions(
  base: ReadonlyMap<string, Companion>,
  adapter: ReadonlyMap<string, Companion>,
): Map<string, Companion> {
  if (!vocabularyFiles.some((name) => adapter.has(name))) return new Map(base);
  const kept = [...base].filter(([name]) => !tokenizerFiles.includes(name));
  const brought = [...adapter].filter(([name]) => tokenizerFiles.includes(name));
  return new Map([...kept, ...brought].sort(([a], [b]) => (a < b ? -1 : 1)));
}
