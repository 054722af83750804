import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Message, openTokenizer, type Tokenizer } from "@safedelta/tokenizer";

/** What Python makes of the texts and conversations with one tokenizer: a line of expected.jsonl (see make_expected.py). */
export interface Expected {
  readonly name: string;
  /** tokenizer_config.json and special_tokens_map.json of a variant of the tiny tokenizer. */
  readonly config?: Record<string, unknown>;
  readonly map?: Record<string, unknown>;
  readonly size: number;
  /** Ids of texts[i] without special tokens, and of the first texts with them. */
  readonly plain: readonly (readonly number[])[];
  readonly special: readonly (readonly number[])[];
  readonly decoded: readonly { readonly ids: number[]; readonly text: string; readonly skipped: string }[];
  readonly chats: readonly ExpectedChat[];
}

interface ExpectedChat {
  readonly chat: number;
  readonly prompt: boolean;
  readonly text: string;
  readonly ids: readonly number[];
  /** Instead of text and ids, what the template said when it refused. */
  readonly error?: string;
}

export interface Inputs {
  readonly texts: readonly string[];
  readonly conversations: readonly (readonly Message[])[];
}

/** The inputs, and the expectations by tokenizer. */
export function readExpected(): { inputs: Inputs; tokenizers: readonly Expected[] } {
  const lines = readFileSync(join(import.meta.dir, "expected.jsonl"), "utf8")
    .trimEnd()
    .split("\n");
  const [inputs, ...tokenizers] = lines.map((line) => JSON.parse(line));
  return { inputs, tokenizers };
}

/** The folder of the tiny model's tokenizer, undefined where the shared files are absent. */
export function tinyFolder(): string | undefined {
  const shared = process.env.SAFEDELTA_SHARED ?? join(import.meta.dir, "../../../shared");
  const folder = join(shared, "models/tiny/aligned");
  return existsSync(folder) ? folder : undefined;
}

/** The tiny tokenizer under other settings. */
export function openVariant(folder: string, { config, map }: Pick<Expected, "config" | "map">): Tokenizer {
  const bytes = (value: unknown) => (value === undefined ? undefined : new TextEncoder().encode(JSON.stringify(value)));
  const tokenizerJson = readFileSync(join(folder, "tokenizer.json"));
  return openTokenizer({ tokenizerJson, tokenizerConfig: bytes(config), specialTokensMap: bytes(map) });
}
