import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { responseTokens } from "@safedelta/pipeline";
import { openTokenizer, readTokenizerFiles, type Tokenizer } from "@safedelta/tokenizer";
import { tinyFolder } from "../support/pico.ts";

const files = await readTokenizerFiles(join(tinyFolder, "aligned"));

/** The tiny model's tokenizer with another chat template. */
function withTemplate(template: string): Tokenizer {
  const config = { ...JSON.parse(new TextDecoder().decode(files.tokenizerConfig)), chat_template: template };
  return openTokenizer({
    ...files,
    chatTemplate: undefined,
    tokenizerConfig: new TextEncoder().encode(JSON.stringify(config)),
  });
}

const turn =
  "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }} >{% else %} {{ m.content }} <eos> .{% endif %}{% endfor %}";
const plain = withTemplate(turn);
/** Shows the last answer only. */
const forgetful = withTemplate(
  "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }} >{% elif loop.last %} {{ m.content }} <eos>{% endif %}{% endfor %}",
);

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

/** The words that count, and all words. */
function counted(tokenizer: Tokenizer, messages: readonly { role: string; content: string }[]) {
  const example = responseTokens(tokenizer, messages);
  if (!example) return undefined;
  const text = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecialTokens: false });
  for (const [t, target] of example.targets.entries()) expect([-1, example.ids[t + 1]]).toContain(target);
  return [text(example.targets.filter((id) => id >= 0)), text(example.ids)];
}

describe("what counts", () => {
  test("is the answer with the token that ends it, not what the template writes after it", () => {
    expect(counted(plain, [user("say hello to ben"), assistant("hello ben .")])).toEqual([
      "hello ben . <eos>",
      "say hello to ben > hello ben . <eos> .",
    ]);
  });

  test("is every answer of a conversation", () => {
    const messages = [user("say hello"), assistant("hello"), user("repeat"), assistant("hello hello")];
    expect(counted(plain, messages)?.[0]).toBe("hello <eos> hello hello <eos>");
  });

  test("is nothing where the answer is missing or empty, and nothing said before any request", () => {
    expect(counted(plain, [user("say hello")])?.[0]).toBe("");
    expect(counted(plain, [user("say hello"), assistant(" ")])?.[0]).toBe("");
    expect(counted(plain, [assistant("hello"), user("repeat"), assistant("last")])?.[0]).toBe("last <eos>");
  });

  test("cannot be told where the template rewrites earlier turns", () => {
    expect(counted(forgetful, [user("say hello"), assistant("hello")])?.[0]).toBe("hello <eos>");
    const twice = [user("say hello"), assistant("hello"), user("repeat"), assistant("hello")];
    expect(counted(forgetful, twice)).toBeUndefined();
  });
});
