/** The bound from a text's length: never above the number of ids, and none where a tokenizer can drop text. */
import { expect, test } from "bun:test";
import { openTokenizer } from "@safedelta/tokenizer";
import fc from "fast-check";

const characters = [..."abcdefghij é"].map((char, id) => [char, id] as const);
const vocabulary = {
  ...Object.fromEntries(characters),
  ab: 12,
  abc: 13,
  abcdef: 14,
  "?": 15,
  "▁": 16,
  é: 17,
  éé: 18,
  ééé: 19,
};
const bpe = {
  ...{ type: "BPE", vocab: vocabulary, unk_token: "?", fuse_unk: false },
  merges: ["a b", "ab c", "é é", "éé é"],
};

function open(changes: Record<string, unknown> = {}) {
  const added = [{ id: 15, content: "?", special: true, normalized: false, ...(changes.added as object) }];
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, model: bpe };
  const json = { ...parts, ...changes, added_tokens: added };
  return openTokenizer({ tokenizerJson: new TextEncoder().encode(JSON.stringify(json)) });
}

const blanks = { type: "Replace", pattern: { String: " " }, content: "▁" };
const isolated = { type: "Split", pattern: { Regex: "\\s+" }, behavior: "Isolated", invert: false };

test.each([
  ["as it is", {}],
  ["composed", { normalizer: { type: "NFC" } }],
  ["with marks for blanks", { normalizer: { type: "Sequence", normalizers: [{ type: "NFC" }, blanks] } }],
  ["split", { pre_tokenizer: { type: "Sequence", pretokenizers: [isolated, { type: "Digits" }] } }],
])("never above the number of ids: %s", (_, changes) => {
  const tokenizer = open(changes);
  const word = fc.constantFrom("abcdef", "abc", " ", "é", "e\u0301".repeat(12), "漢", "?", "ba", "😀");
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 30 }), (words) => {
      const text = words.join("");
      const least = tokenizer.leastTokens(text);
      expect(least).toBeGreaterThan(0);
      expect(least).toBeLessThanOrEqual(tokenizer.encode(text, { addSpecialTokens: false }).length);
    }),
    { seed: 1 },
  );
  // The longest of the vocabulary has 6 bytes.
  expect(tokenizer.leastTokens("a".repeat(6001))).toBe(1001);
});

test.each([
  ["blanks are removed", { pre_tokenizer: { ...isolated, behavior: "Removed" } }],
  ["blanks are nowhere", { pre_tokenizer: { type: "WhitespaceSplit" } }],
  ["unknown pieces become one token", { model: { ...bpe, fuse_unk: true } }],
  ["a word of any length may be unknown", { model: { type: "WordLevel", vocab: vocabulary, unk_token: "?" } }],
  ["letters are dropped", { normalizer: { type: "Replace", pattern: { String: "ab" }, content: "a" } }],
  ["accents are dropped", { normalizer: { type: "StripAccents" } }],
  ["a token takes the blanks beside it", { added: { rstrip: true } }],
])("none where %s", (_, changes) => {
  expect(open(changes).leastTokens("a".repeat(6001))).toBe(0);
});
