import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { TokenizerError } from "./errors.ts";
import { collectTokenizerFiles, type TokenizerFiles } from "./files.ts";

/**
 * Read the tokenizer files of a local model folder.
 * @throws TokenizerError when tokenizer.json is missing, with advice when there is only a SentencePiece model
 */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const files = await collectTokenizerFiles((name) => readOptional(join(folder, name)));
  if (files === undefined) throw await missing(folder);
  return files;
}

async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new TokenizerError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

async function missing(folder: string): Promise<TokenizerError> {
  const sentencePiece = await stat(join(folder, "tokenizer.model")).catch(() => undefined);
  if (sentencePiece === undefined) return new TokenizerError(`${folder} holds no tokenizer.json.`);
  return new TokenizerError(
    `${folder} holds tokenizer.model (SentencePiece) but no tokenizer.json. Make one in Python: ` +
      `transformers.AutoTokenizer.from_pretrained(folder, use_fast=True).save_pretrained(folder)`,
  );
}
