import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  fingerprint,
  openTokenizer,
  readTokenizerFiles,
  TokenizerError,
  type TokenizerFiles,
} from "@safedelta/tokenizer";
import fc from "fast-check";

/** GPT-2's byte alphabet: printable Latin-1 as it is, the other bytes from U+0100 on. */
function byteAlphabet(): string[] {
  const isPrintable = (byte: number) => byte > 32 && (byte < 127 || byte > 160) && byte !== 173;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++));
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const special = (id: number, content: string) => ({ id, content, special: true, normalized: false });
const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const vocabulary = {
  ...Object.fromEntries(byteAlphabet().map((char, byte) => [char, byte])),
  "<s>": 256,
  "</s>": 257,
  th: 258,
};
const tokenizerJson = {
  added_tokens: [special(256, "<s>"), special(257, "</s>")],
  normalizer: null,
  pre_tokenizer: byteLevel,
  post_processor: null,
  decoder: byteLevel,
  model: { type: "BPE", unk_token: null, vocab: vocabulary, merges: [["t", "h"]] },
};
const config = { bos_token: "<s>", eos_token: "</s>", pad_token: "[PAD]", chat_template: "{{ messages[0].content }}" };

/** A byte-level tokenizer without further merges than "th", with some files replaced. */
function open(files: Partial<TokenizerFiles> = {}) {
  return openTokenizer({ tokenizerJson: json(tokenizerJson), tokenizerConfig: json(config), ...files });
}

/** The message of the TokenizerError that `action` must throw. */
function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(TokenizerError);
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}

const user = [{ role: "user", content: "hi" }];
const render = { addGenerationPrompt: true };

describe("tokens", () => {
  test("every well-formed text comes back from its ids", () => {
    const tokenizer = open();
    const roundTrip = (text: string) =>
      tokenizer.decode(tokenizer.encode(text, { addSpecialTokens: false }), { skipSpecialTokens: false });
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => expect(roundTrip(text)).toBe(text)),
      { seed: 1 },
    );
  });

  test("ids, ends and sizes", () => {
    const tokenizer = open();
    expect(tokenizer.vocabularySize).toBe(259);
    expect([tokenizer.bosId, tokenizer.padId, tokenizer.tokenId("th"), tokenizer.tokenId("nope")]).toEqual([
      256,
      undefined,
      258,
      undefined,
    ]);
    expect(tokenizer.eosIds).toEqual([257]);
    expect(open({ generationConfig: json({ eos_token_id: [257, 3] }) }).eosIds).toEqual([257, 3]);
    expect(open({ generationConfig: json({ eos_token_id: 3 }) }).eosIds).toEqual([3]);
    expect(tokenizer.encode("th<s>", { addSpecialTokens: true })).toEqual([258, 256]);
  });

  test("no ids give no text, a number that is no id is refused", () => {
    const decode = (ids: number[]) => open().decode(ids, { skipSpecialTokens: true });
    expect(decode([])).toBe("");
    expect(decode([9999])).toBe("");
    expect(decode([256])).toBe("");
    expect(refusal(() => decode([-1]))).toBe("-1 is no token id.");
    expect(refusal(() => decode([65, 0.5]))).toBe("0.5 is no token id.");
  });

  test("a word outside a vocabulary without an unknown token is refused", () => {
    const model = { type: "WordLevel", vocab: { a: 0 } };
    const tokenizer = open({
      tokenizerJson: json({ ...tokenizerJson, added_tokens: [], model }),
      tokenizerConfig: undefined,
    });
    expect(refusal(() => tokenizer.encode("b", { addSpecialTokens: false }))).toContain("no unknown token");
  });
});

describe("chat", () => {
  const withTemplate = (chat_template: unknown) => open({ tokenizerConfig: json({ ...config, chat_template }) });

  test("chat_template.jinja wins over the config", () => {
    const file = new TextEncoder().encode("file: {{ messages[0].content }}");
    expect(open({ chatTemplate: file }).renderChat(user, render)).toBe("file: hi");
  });

  test("the date is given or frozen, never today", () => {
    const tokenizer = withTemplate("{{ strftime_now('%d %B %Y') }}");
    expect(tokenizer.renderChat(user, render)).toBe("26 July 2024");
    expect(tokenizer.renderChat(user, { ...render, date: "2025-02-28" })).toBe("28 February 2025");
    expect(refusal(() => tokenizer.renderChat(user, { ...render, date: "2025-02-30" }))).toContain("YYYY-MM-DD");
    expect(refusal(() => withTemplate("{{ strftime_now('%Q') }}").renderChat(user, render))).toContain('"%Q"');
  });

  test("system messages: kept, dropped, refused", () => {
    expect(withTemplate("{% for m in messages %}{{ m.content }}{% endfor %}").ignoresSystemPrompt()).toBe(false);
    expect(withTemplate("{{ messages[-1].content }}").ignoresSystemPrompt()).toBe(true);
    const refusing = withTemplate("{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}");
    expect(refusal(() => refusing.ignoresSystemPrompt())).toContain("no system");
  });

  test("without a usable template there is a clear refusal, only when one is asked for", () => {
    const none = withTemplate(undefined);
    expect(none.hasChatTemplate).toBe(false);
    expect(refusal(() => none.encodeChat(user, render))).toContain("no chat template");
    expect(refusal(() => withTemplate("{% if %}").renderChat(user, render))).toContain("cannot be read");
    expect(refusal(() => withTemplate([{ name: "rag", template: "" }]))).toContain("(rag)");
    expect(refusal(() => withTemplate(3))).toContain("neither a string nor a list");
  });
});

describe("fingerprint", () => {
  test("tells what differs", () => {
    const other = open({ tokenizerConfig: json({ ...config, chat_template: "x" }) });
    expect(fingerprint(open())).toBe(fingerprint(open()));
    expect(fingerprint(open(), "vocabulary")).toBe(fingerprint(other, "vocabulary"));
    expect(fingerprint(open(), "chatTemplate")).not.toBe(fingerprint(other, "chatTemplate"));
    expect(fingerprint(open())).not.toBe(fingerprint(other));
    const swapped = { ...vocabulary, "<s>": 257, "</s>": 256 };
    const added_tokens = [special(257, "<s>"), special(256, "</s>")];
    const model = { ...tokenizerJson.model, vocab: swapped };
    const permuted = open({ tokenizerJson: json({ ...tokenizerJson, added_tokens, model }) });
    expect(fingerprint(permuted, "vocabulary")).not.toBe(fingerprint(open(), "vocabulary"));
  });
});

describe("broken files", () => {
  const text = (content: string) => new TextEncoder().encode(content);
  const faults: [string, Partial<TokenizerFiles>, string][] = [
    ["cut", { tokenizerJson: json(tokenizerJson).slice(0, 99) }, "tokenizer.json is not valid JSON"],
    ["empty", { tokenizerJson: text("") }, "tokenizer.json is not valid JSON"],
    ["a list", { tokenizerJson: text("[]") }, "tokenizer.json holds no JSON object"],
    ["no model", { tokenizerJson: text("{}") }, "tokenizer.json cannot be used"],
    ["no UTF-8", { tokenizerConfig: new Uint8Array([0x7b, 0xff]) }, "tokenizer_config.json is not UTF-8"],
    ["special token a number", { tokenizerConfig: json({ eos_token: 2 }) }, "eos_token in tokenizer_config.json"],
    ["foreign end token", { tokenizerConfig: json({ eos_token: "<end>" }) }, 'eos_token "<end>"'],
    ["end id a text", { generationConfig: json({ eos_token_id: "2" }) }, "eos_token_id in generation_config.json"],
    ["Llama without begin", { tokenizerConfig: json({ tokenizer_class: "LlamaTokenizer" }) }, "wants a bos_token"],
  ];
  for (const [name, files, message] of faults) {
    test(name, () => expect(refusal(() => open(files))).toContain(message));
  }

  test("a folder with a SentencePiece model alone gets advice", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tokenizer-"));
    await expect(readTokenizerFiles(folder)).rejects.toThrow(/holds no tokenizer.json/);
    writeFileSync(join(folder, "tokenizer.model"), "x");
    await expect(readTokenizerFiles(folder)).rejects.toThrow(/SentencePiece.*save_pretrained/s);
    await expect(readTokenizerFiles(folder)).rejects.toBeInstanceOf(TokenizerError);
    rmSync(folder, { recursive: true });
  });
});
