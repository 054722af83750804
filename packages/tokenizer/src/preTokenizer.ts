import { isObject, type JsonObject } from "./files.ts";

/**
 * The pre-tokenizer of a tokenizer.json, changed where the library differs from the Rust tokenizers:
 *
 * - Its Digits, ByteLevel, Whitespace and WhitespaceSplit use JavaScript's \d, \w and \s (ASCII; blanks with U+FEFF, without
 *   U+0085) for Unicode's. Its Split is right, so each becomes the Split it is by definition
 *   (huggingface/tokenizers, pre_tokenizers/{digits,byte_level,whitespace}.rs).
 * - A byte the vocabulary lacks is dropped after the merges; Rust drops it before (models/bpe/model.rs, merge_word).
 */
export function correctPreTokenizer({ pre_tokenizer, model }: JsonObject): unknown {
  const corrected = correct(pre_tokenizer);
  const absent = absentBytes(model);
  if (absent === "" || !JSON.stringify(pre_tokenizer ?? null).includes('"ByteLevel"')) return corrected;
  const drop = { type: "Replace", pattern: { Regex: `[${absent}]` }, content: "" };
  return { type: "Sequence", pretokenizers: [corrected, drop] };
}

function correct(preTokenizer: unknown): unknown {
  if (!isObject(preTokenizer)) return preTokenizer;
  switch (preTokenizer.type) {
    case "Sequence":
      return { ...preTokenizer, pretokenizers: asList(preTokenizer.pretokenizers).map(correct) };
    case "Digits":
      return split(preTokenizer.individual_digits === true ? "\\p{N}" : "\\p{N}+", "Isolated");
    case "WhitespaceSplit":
      return split("\\s+", "Removed");
    case "Whitespace":
      return { ...split(`[${word}]+|[^${word}\\s]+`, "Removed"), invert: true };
    case "ByteLevel":
      return preTokenizer.use_regex === false ? preTokenizer : byteLevel(preTokenizer);
    default:
      return preTokenizer;
  }
}

/** The characters that stand for bytes (GPT-2's byte alphabet) and that the vocabulary lacks, escaped for a pattern. */
function absentBytes(model: unknown): string {
  if (!isObject(model) || model.type !== "BPE" || !isObject(model.vocab)) return "";
  const { vocab, unk_token } = model;
  if (typeof unk_token === "string") return "";
  const codes = Array.from({ length: 324 }, (_, code) => code).filter(
    (code) => code > 32 && (code < 127 || code > 160) && code !== 173,
  );
  const absent = codes.filter((code) => !Object.hasOwn(vocab, String.fromCharCode(code)));
  return absent.map((code) => `\\u${code.toString(16).padStart(4, "0")}`).join("");
}

/** Rust's \w. */
const word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d";

/** GPT-2's pattern; it leaves nothing between its matches. */
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The prefix blank comes before the split: Metaspace with a blank for its mark puts it there. */
function byteLevel(preTokenizer: JsonObject): JsonObject {
  const prefix = { type: "Metaspace", replacement: " ", prepend_scheme: "always" };
  const bytes = { ...preTokenizer, add_prefix_space: false, use_regex: false };
  const steps = [split(gpt2, "Isolated"), bytes];
  return { type: "Sequence", pretokenizers: preTokenizer.add_prefix_space === true ? [prefix, ...steps] : steps };
}

function split(pattern: string, behavior: "Isolated" | "Removed"): JsonObject {
  return { type: "Split", pattern: { Regex: pattern }, behavior, invert: false };
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
