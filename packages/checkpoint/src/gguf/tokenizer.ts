import { CheckpointError } from "../errors.ts";
import type { JsonObject } from "../json-file.ts";
import { tokenIds } from "./config.ts";
import type { Metadata } from "./metadata.ts";

/** Token types of GGUF (`llama_token_type`). */
const control = 3;
const userDefined = 4;

const byteLevel = (useRegex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

/** Words by a regular expression, then bytes. `digits`: how many digits make one word. */
const split = (digits: string) => ({
  type: "Split",
  pattern: {
    Regex:
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" +
      `\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  },
  behavior: "Isolated",
  invert: false,
});

interface PreTokenizer {
  readonly normalizer: object | null;
  readonly pre_tokenizer: object;
  readonly ignoreMerges: boolean;
}

const sequence = (...pretokenizers: object[]) => ({ type: "Sequence", pretokenizers });

/**
 * How the words of a text are found, by `tokenizer.ggml.pre`. Sources: the tokenizer.json of SmolLM2 and GPT-2, transformers
 * `TikTokenConverter` (Llama 3) and `Qwen2Converter`.
 */
const preTokenizers: Readonly<Record<string, PreTokenizer>> = {
  smollm: {
    normalizer: null,
    pre_tokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)),
    ignoreMerges: false,
  },
  "gpt-2": { normalizer: null, pre_tokenizer: byteLevel(true), ignoreMerges: false },
  "llama-bpe": { normalizer: null, pre_tokenizer: sequence(split("{1,3}"), byteLevel(false)), ignoreMerges: true },
  qwen2: { normalizer: { type: "NFC" }, pre_tokenizer: sequence(split(""), byteLevel(false)), ignoreMerges: false },
};

function preTokenizerOf(metadata: Metadata): PreTokenizer {
  const refuse = (what: string) =>
    new CheckpointError(
      "unsupported",
      `${metadata.file}: ${what}; use the model's Hugging Face folder, which has its tokenizer`,
      {
        file: metadata.file,
      },
    );
  const model = metadata.string("tokenizer.ggml.model");
  if (model !== "gpt2") throw refuse(`its tokenizer is of kind ${model}; only byte-level BPE (gpt2) is read from GGUF`);
  const pre = metadata.has("tokenizer.ggml.pre") ? metadata.string("tokenizer.ggml.pre") : "(none given)";
  if (!Object.hasOwn(preTokenizers, pre))
    throw refuse(`its pre-tokeniser ${pre} is not known here, only ${Object.keys(preTokenizers).join(", ")}`);
  return preTokenizers[pre];
}

/** Tokens that are found in a text before anything else; those of the control type are special. */
function addedTokens(tokens: readonly string[], types: readonly number[]): object[] {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const ids = tokens.keys().filter((id) => types[id] === control || types[id] === userDefined);
  return [...ids].map((id) => ({ id, content: tokens[id], ...flags, special: types[id] === control }));
}

/** The start token before every text, when the file asks for it. */
function postProcessor(metadata: Metadata, tokens: readonly string[]): object | null {
  if (!metadata.flag("tokenizer.ggml.add_bos_token")) return null;
  const id = metadata.number("tokenizer.ggml.bos_token_id");
  const token = tokens[id];
  const bos = (type_id: number) => ({ SpecialToken: { id: token, type_id } });
  const text = (name: string, type_id: number) => ({ Sequence: { id: name, type_id } });
  return {
    type: "TemplateProcessing",
    single: [bos(0), text("A", 0)],
    pair: [bos(0), text("A", 0), bos(1), text("B", 1)],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/**
 * tokenizer.json (Hugging Face tokenizers) out of a GGUF header.
 * @throws CheckpointError "unsupported" for other kinds of tokenizers and unknown pre-tokenisers
 */
export function tokenizerOf(metadata: Metadata): JsonObject {
  const { normalizer, pre_tokenizer, ignoreMerges } = preTokenizerOf(metadata);
  const tokens = metadata.strings("tokenizer.ggml.tokens");
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokens(tokens, metadata.numbers("tokenizer.ggml.token_type")),
    normalizer,
    pre_tokenizer,
    post_processor: postProcessor(metadata, tokens),
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: metadata.strings("tokenizer.ggml.merges").map((merge) => merge.split(" ")),
    },
  };
}

/** tokenizer_config.json with the chat template, out of a GGUF header. */
export function tokenizerConfigOf(metadata: Metadata): JsonObject {
  const tokens = metadata.strings("tokenizer.ggml.tokens");
  const { bos_token_id: bos, eos_token_id: eos, pad_token_id: pad } = tokenIds(metadata);
  const unknown = metadata.numberOr("tokenizer.ggml.unknown_token_id", undefined);
  const named = { bos_token: bos, eos_token: eos, unk_token: unknown, pad_token: pad };
  const present = Object.entries(named).filter(([, id]) => id !== undefined && tokens[id] !== undefined);
  const template = "tokenizer.chat_template";
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...Object.fromEntries(present.map(([name, id]) => [name, tokens[id as number]])),
    ...(metadata.has(template) ? { chat_template: metadata.string(template) } : {}),
    clean_up_tokenization_spaces: false,
    model_max_length: metadata.number(`${metadata.string("general.architecture")}.context_length`),
  };
}
