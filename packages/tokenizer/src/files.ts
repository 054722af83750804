import { TokenizerError } from "./errors.ts";

/** The raw files of a Hugging Face tokenizer; only tokenizer.json is indispensable. */
export interface TokenizerFiles {
  readonly tokenizerJson: Uint8Array;
  readonly tokenizerConfig?: Uint8Array;
  /** chat_template.jinja; wins over the template inside tokenizer_config.json. */
  readonly chatTemplate?: Uint8Array;
  readonly specialTokensMap?: Uint8Array;
  readonly generationConfig?: Uint8Array;
}

/** Where each of them lies in a model folder. */
const tokenizerFileNames = {
  tokenizerJson: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  chatTemplate: "chat_template.jinja",
  specialTokensMap: "special_tokens_map.json",
  generationConfig: "generation_config.json",
} as const satisfies Record<keyof TokenizerFiles, string>;

/** The files that `read` finds under those names; undefined without tokenizer.json. */
export async function collectTokenizerFiles(
  read: (name: string) => Promise<Uint8Array | undefined> | undefined,
): Promise<TokenizerFiles | undefined> {
  const found = await Promise.all(
    Object.entries(tokenizerFileNames).map(async ([key, name]) => [key, await read(name)]),
  );
  const files = Object.fromEntries(found) as Partial<TokenizerFiles>;
  return files.tokenizerJson && { ...files, tokenizerJson: files.tokenizerJson };
}

/** Any JSON object, its values still to be checked. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The JSON object in `bytes`. @throws TokenizerError naming `file` when it is not UTF-8, not JSON or not an object */
export function parseObject(bytes: Uint8Array, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(decodeUtf8(bytes, file));
  } catch (error) {
    if (error instanceof TokenizerError) throw error;
    throw new TokenizerError(`${file} is not valid JSON: ${(error as Error).message}. Copy it again from its source.`);
  }
  if (isObject(value)) return value;
  throw new TokenizerError(`${file} holds no JSON object. Copy it again from its source.`);
}

/** The text in `bytes`, without a byte order mark. @throws TokenizerError naming `file` when it is not UTF-8 */
export function decodeUtf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new TokenizerError(`${file} is not UTF-8 text. Copy it again from its source.`);
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
