import { Tokenizer as Library } from "@huggingface/tokenizers";
import { missingAddedTokens } from "./addedTokens.ts";
import { type ChatOptions, chatRenderer, chatTemplateSource, type Message, type RenderChat } from "./chatTemplate.ts";
import { TokenizerError } from "./errors.ts";
import { isObject, type JsonObject, parseObject, type TokenizerFiles } from "./files.ts";
import { leastTokens } from "./leastTokens.ts";
import { correctPreTokenizer } from "./preTokenizer.ts";
import { readSpecialTokens, type SpecialTokens } from "./specialTokens.ts";

/** Text to token ids and back, and conversations to text; equal to transformers' fast tokenizers. */
export interface Tokenizer {
  /** Ids of `text`; with `addSpecialTokens` the model's own begin and end tokens around them. */
  encode(text: string, options: { readonly addSpecialTokens: boolean }): number[];
  /** At least so many ids `encode` gives for `text`, known from its length alone; 0 where length says nothing. */
  leastTokens(text: string): number;
  /**
   * Text of `ids`, "" of none. Ids without a token (padded rows of an embedding) give no text, as in transformers.
   * @throws TokenizerError for a number that can be no id
   */
  decode(ids: readonly number[], options: { readonly skipSpecialTokens: boolean }): string;
  /** Number of ids: one above the largest. The embedding needs at least so many rows. */
  readonly vocabularySize: number;
  tokenId(text: string): number | undefined;
  /** Ids that end an answer: those of generation_config.json, else the end token. May be empty. */
  readonly eosIds: readonly number[];
  readonly bosId?: number;
  readonly padId?: number;
  readonly hasChatTemplate: boolean;
  /** The conversation as text. @throws TokenizerError without a template, or when the template refuses the messages */
  renderChat(messages: readonly Message[], options: ChatOptions): string;
  /** Ids of `renderChat`, no special tokens besides those the template writes (as apply_chat_template does). */
  encodeChat(messages: readonly Message[], options: ChatOptions): number[];
  /** True when the template drops a system message in silence. @throws TokenizerError when it refuses one */
  ignoresSystemPrompt(): boolean;
  /** The vocabulary (ids and tokens), the chat template, or both, as JSON: what `fingerprint` hashes. */
  canonical(part?: TokenizerPart): string;
}

export type TokenizerPart = "vocabulary" | "chatTemplate";

/**
 * Open a tokenizer from its files.
 * @throws TokenizerError naming the file when one is broken, of an unknown kind, or names tokens the vocabulary lacks
 */
export function openTokenizer(files: TokenizerFiles): Tokenizer {
  const config = parseOptional(files.tokenizerConfig, "tokenizer_config.json");
  const specialTokens = readSpecialTokens(config, parseOptional(files.specialTokensMap, "special_tokens_map.json"));
  const json = correctedJson(files.tokenizerJson);
  const library = openLibrary(json, config, specialTokens);
  const source = chatTemplateSource(files.chatTemplate, config);
  const render = source === undefined ? refuseChat : chatRenderer(source, specialTokens);
  const vocabulary = [...library.get_vocab(true)].sort((a, b) => a[1] - b[1]);
  const encode = encoder(library, config, specialTokens);
  return {
    encode: (text, { addSpecialTokens }) => encode(text, addSpecialTokens),
    leastTokens: leastTokens(
      json,
      vocabulary.map(([token]) => token),
    ),
    decode: (ids, { skipSpecialTokens }) => decode(library, ids, skipSpecialTokens),
    vocabularySize: (vocabulary.at(-1)?.[1] ?? -1) + 1,
    tokenId: (text) => library.token_to_id(text),
    eosIds: endIds(parseOptional(files.generationConfig, "generation_config.json"), library, specialTokens),
    bosId: requiredId(library, "bos_token", specialTokens.bos_token),
    padId: specialTokens.pad_token === undefined ? undefined : library.token_to_id(specialTokens.pad_token),
    hasChatTemplate: source !== undefined,
    renderChat: render,
    encodeChat: (messages, options) => encode(render(messages, options), false),
    ignoresSystemPrompt: () => ignoresSystemPrompt(render),
    canonical: (part) => {
      const parts = { vocabulary, chatTemplate: source ?? null };
      return JSON.stringify(part === undefined ? parts : parts[part]);
    },
  };
}

function parseOptional(bytes: Uint8Array | undefined, file: string): JsonObject {
  return bytes === undefined ? {} : parseObject(bytes, file);
}

/** tokenizer.json as the library is to read it. */
function correctedJson(tokenizerJson: Uint8Array): JsonObject & { readonly added_tokens: readonly unknown[] } {
  const json = parseObject(tokenizerJson, "tokenizer.json");
  const added = Array.isArray(json.added_tokens) ? json.added_tokens : [];
  return { ...json, added_tokens: added, pre_tokenizer: correctPreTokenizer(json) };
}

/** The library reads some settings of tokenizer_config.json that transformers ignores here: it gets only the shared ones. */
function openLibrary(json: ReturnType<typeof correctedJson>, config: JsonObject, special: SpecialTokens): Library {
  const settings = {
    unk_token: isObject(json.model) ? json.model.unk_token : undefined,
    clean_up_tokenization_spaces: config.clean_up_tokenization_spaces === true,
  };
  try {
    const library = new Library(json, settings);
    const missing = missingAddedTokens(library, config, special);
    return missing.length === 0
      ? library
      : new Library({ ...json, added_tokens: [...json.added_tokens, ...missing] }, settings);
  } catch (error) {
    throw new TokenizerError(`tokenizer.json cannot be used: ${(error as Error).message}`);
  }
}

type Encode = (text: string, addSpecialTokens: boolean) => number[];

/** Classes that, in transformers, set begin and end tokens by add_bos_token and add_eos_token, whatever tokenizer.json says. */
const classesWithEnds = /^(Llama|CodeLlama|Gemma)Tokenizer(Fast)?$/;

function encoder(library: Library, config: JsonObject, { bos_token, eos_token }: SpecialTokens): Encode {
  const plain: Encode = (text, addSpecialTokens) =>
    checked(library.encode(text, { add_special_tokens: addSpecialTokens }).ids);
  if (typeof config.tokenizer_class !== "string" || !classesWithEnds.test(config.tokenizer_class)) return plain;
  const before = endToken(library, "bos_token", bos_token, config.add_bos_token ?? true);
  const after = endToken(library, "eos_token", eos_token, config.add_eos_token ?? false);
  return (text, addSpecialTokens) =>
    addSpecialTokens ? [...before, ...plain(text, false), ...after] : plain(text, false);
}

function endToken(library: Library, name: string, token: string | undefined, add: unknown): number[] {
  if (add !== true) return [];
  const id = requiredId(library, name, token);
  if (id !== undefined) return [id];
  throw new TokenizerError(`tokenizer_config.json wants a ${name} around each text, but names none.`);
}

/** The library answers undefined where neither the vocabulary nor an unknown token covers a piece of text. */
function checked(ids: readonly (number | undefined)[]): number[] {
  if (ids.includes(undefined))
    throw new TokenizerError("The text holds a piece the vocabulary lacks; there is no unknown token.");
  return ids as number[];
}

function decode(library: Library, ids: readonly number[], skipSpecialTokens: boolean): string {
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0);
  if (bad !== undefined) throw new TokenizerError(`${bad} is no token id.`);
  const known = ids.filter((id) => library.id_to_token(id) !== undefined);
  return known.length === 0 ? "" : library.decode(known, { skip_special_tokens: skipSpecialTokens });
}

function endIds(generation: JsonObject, library: Library, { eos_token }: SpecialTokens): number[] {
  const given = generation.eos_token_id ?? requiredId(library, "eos_token", eos_token) ?? [];
  const ids = Array.isArray(given) ? given : [given];
  if (ids.every((id) => Number.isInteger(id) && id >= 0)) return ids;
  throw new TokenizerError("eos_token_id in generation_config.json must be a token id or a list of them.");
}

function requiredId(library: Library, name: string, token: string | undefined): number | undefined {
  if (token === undefined) return undefined;
  const id = library.token_to_id(token);
  if (id !== undefined) return id;
  throw new TokenizerError(
    `${name} "${token}" of tokenizer_config.json is not in tokenizer.json. Do they belong together?`,
  );
}

const refuseChat: RenderChat = () => {
  throw new TokenizerError(
    "The model has no chat template: neither chat_template.jinja nor chat_template in tokenizer_config.json. " +
      "Use a chat model, or put its template beside it.",
  );
};

function ignoresSystemPrompt(render: RenderChat): boolean {
  const messages = [
    { role: "system", content: "SYSTEM-PROBE" },
    { role: "user", content: "user" },
  ];
  return !render(messages, { addGenerationPrompt: true }).includes("SYSTEM-PROBE");
}
