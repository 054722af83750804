import { isObject, type JsonObject } from "./files.ts";

/**
 * A lower bound of the number of ids of a text, from its length alone: no token stands for more bytes than the longest of the
 * vocabulary. Always 0 for tokenizers that may drop text or take any length of it for one unknown token.
 * @param json tokenizer.json, as it is used
 * @param vocabulary all tokens, undefined where an id has none
 */
export function leastTokens(json: JsonObject, vocabulary: readonly (string | undefined)[]): (text: string) => number {
  const { normalizer, pre_tokenizer, model, truncation } = json;
  const added = asList(json.added_tokens);
  const keeps =
    isObject(model) &&
    keepsAll(model) &&
    partsOf(normalizer).every(keepsLength) &&
    partsOf(pre_tokenizer).every(keepsText);
  if (!keeps || truncation || added.some(({ lstrip, rstrip }) => lstrip === true || rstrip === true)) return () => 0;
  const isByteLevel = partsOf(pre_tokenizer).some(({ type }) => type === "ByteLevel");
  // In a byte-level vocabulary every character stands for one byte.
  const lengths = vocabulary.map((token = "") => (isByteLevel ? token.length : nBytes(token)));
  const longest = [...lengths, ...added.map(({ content }) => nBytes(String(content)))].reduce(
    (most, length) => Math.max(most, length),
    4,
  );
  const composes = partsOf(normalizer).some(({ type }) => type === "NFC");
  return (text) => Math.ceil(nBytes(composes ? text.normalize("NFC") : text) / longest);
}

const utf8 = new TextEncoder();

/** Bytes of a text in UTF-8. */
function nBytes(text: string): number {
  return utf8.encode(text).length;
}

/** True when every byte of a text is part of a token: of the vocabulary, of the byte, or of the one unknown character. */
function keepsAll({ type, unk_token, fuse_unk, byte_fallback }: JsonObject): boolean {
  return type === "BPE" && (typeof unk_token !== "string" || fuse_unk !== true || byte_fallback === true);
}

/** True for a normalizer that does not shorten, or composes characters only. */
function keepsLength({ type, pattern, content }: JsonObject): boolean {
  if (type !== "Replace") return type === "Prepend" || type === "NFC";
  const from = isObject(pattern) ? pattern.String : undefined;
  return typeof from === "string" && nBytes(String(content)) >= nBytes(from);
}

function keepsText({ type, behavior }: JsonObject): boolean {
  if (type === "Split" || type === "Punctuation") return behavior !== "Removed";
  return type === "ByteLevel" || type === "Metaspace" || type === "Digits";
}

/** A step, or those of a sequence. */
function partsOf(step: unknown): JsonObject[] {
  if (!isObject(step)) return [];
  if (step.type !== "Sequence") return [step];
  return [...asList(step.normalizers), ...asList(step.pretokenizers)].flatMap(partsOf);
}

function asList(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
