import { describe, expect, test } from "bun:test";
import { openTokenizer, readTokenizerFiles, type Tokenizer, TokenizerError } from "@safedelta/tokenizer";
import { absent, real, tokenizerOf, withModel } from "../real/smollm2.ts";
import { type Expected, openVariant, readExpected, tinyFolder } from "./expected.ts";

const { inputs, tokenizers } = readExpected();
const tiny = tinyFolder();

/** The open tokenizer that an expectation is about, undefined where its files are absent. */
async function open(expected: Expected): Promise<Tokenizer | undefined> {
  if (expected.name === "smollm2") return real && withModel(real.gguf, tokenizerOf);
  if (tiny === undefined) return undefined;
  return expected.config === undefined ? openTokenizer(await readTokenizerFiles(tiny)) : openVariant(tiny, expected);
}

for (const expected of tokenizers) {
  const name = `${expected.name}, as transformers`;
  const tokenizer = await open(expected);
  if (tokenizer !== undefined) describe(name, () => equalToPython(tokenizer, expected));
  else
    test.skip(`${name} (skipped: ${expected.name === "smollm2" ? absent : "the shared files are absent"})`, () => {});
}

function equalToPython(tokenizer: Tokenizer, expected: Expected): void {
  test("texts to ids", () => {
    expect(tokenizer.vocabularySize).toBe(expected.size);
    const encode = (addSpecialTokens: boolean) => (text: string) => tokenizer.encode(text, { addSpecialTokens });
    expect(inputs.texts.slice(0, expected.plain.length).map(encode(false))).toEqual(expected.plain as number[][]);
    expect(inputs.texts.slice(0, expected.special.length).map(encode(true))).toEqual(expected.special as number[][]);
  });

  test("ids to text", () => {
    for (const { ids, text, skipped } of expected.decoded) {
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(text);
      expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(skipped);
    }
  });

  test("conversations to text and ids", () => {
    expect(tokenizer.hasChatTemplate).toBe(expected.chats.length > 0);
    for (const { chat, prompt, text, ids, error } of expected.chats) {
      const messages = inputs.conversations[chat];
      const options = { addGenerationPrompt: prompt };
      if (error !== undefined) {
        expect(() => tokenizer.renderChat(messages, options)).toThrow(TokenizerError);
        expect(() => tokenizer.encodeChat(messages, options)).toThrow(error);
        continue;
      }
      expect(tokenizer.renderChat(messages, options)).toBe(text);
      expect(tokenizer.encodeChat(messages, options)).toEqual(ids as number[]);
    }
  });
}
