import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type DataOptions, openModelFiles, readSequences, silent } from "@safedelta/pipeline";
import { scratchFolder, writePico } from "../support/pico.ts";

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
  await writePico(join(scratch.path, "model"), { seed: 1 }); // 64 positions
});
afterAll(() => scratch[Symbol.asyncDispose]());

const say = (user: string, assistant?: string) => ({
  messages: [
    { role: "user", content: user },
    ...(assistant === undefined ? [] : [{ role: "assistant", content: assistant }]),
  ],
});

/** What reading these examples for the pico model gives, and its warnings. */
async function read(name: string, examples: readonly object[], change: Partial<DataOptions> = {}) {
  const file = join(scratch.path, name);
  await Bun.write(file, examples.map((example) => `${JSON.stringify(example)}\n`).join(""));
  const options = { file, samples: 100, seed: 1, maxTokens: 512, systemPrompts: "none", ...change } as const;
  const warnings: string[] = [];
  await using model = await openModelFiles(join(scratch.path, "model"), true, silent);
  const warn = (message: string) => warnings.push(message);
  return { ...(await readSequences(options, model, true, { ...silent, warn })), warnings };
}

describe("the length of examples", () => {
  const long = say("hello", "hello ".repeat(100));
  const longRequest = say("hello ".repeat(100), "hello");
  const short = say("hello", "hello");

  test("is cut at the model's positions, with a warning and the count", async () => {
    const { ids, facts, warnings } = await read("long.jsonl", [long, short, long]);
    expect(ids.map((sequence) => sequence.length).filter((length) => length === 64)).toHaveLength(2);
    expect(facts).toMatchObject({ nCut: 2, maxTokens: 64, nExamples: 3 });
    expect(warnings).toEqual([
      expect.stringMatching(/long\.jsonl: 2 of 3 examples are cut at the model's 64 positions/),
    ]);
  });

  test("that ends before the answer begins is warned of, with what helps", async () => {
    const { warnings } = await read("request.jsonl", [longRequest, short], { maxTokens: 20 });
    expect(warnings).toEqual([
      expect.stringMatching(
        /1 of 2 examples are cut at 20 tokens, before their answer begins\. Give a larger --max-tokens/,
      ),
    ]);
    const [, atPositions] = (await read("request.jsonl", [longRequest, short])).warnings;
    expect(atPositions).toMatch(/cut at 64 tokens, before their answer begins\. Shorten their requests/);
  });

  test("is cut at --max-tokens without a warning where that is what was asked for", async () => {
    const { facts, warnings } = await read("long.jsonl", [long, short, long], { maxTokens: 20 });
    expect(facts).toMatchObject({ nCut: 2, maxTokens: 20 });
    expect(warnings).toEqual([]);
  });
});

describe("examples without an answer", () => {
  test("are told", async () => {
    const { warnings } = await read("some.jsonl", [say("hello", "hello"), say("hello"), say("hello", " ")]);
    expect(warnings).toEqual([expect.stringMatching(/some\.jsonl: 2 of 3 examples have no answer/)]);
    expect((await read("all.jsonl", [say("hello", "hello")])).warnings).toEqual([]);
  });

  test("alone are refused", async () => {
    const only = [say("hello"), { prompt: "hello", response: "" }];
    await expect(read("none.jsonl", only)).rejects.toMatchObject({
      kind: "usage",
      message: expect.stringMatching(/none\.jsonl: no example has an answer/),
    });
    await expect(read("unknown.jsonl", [{ prompt: "hello", label_text: "hello" }])).rejects.toThrow(
      /unknown\.jsonl:1: prompts without answers, .*answer=COLUMN.*label_text/,
    );
  });
});
