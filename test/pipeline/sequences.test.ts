import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type DataOptions, openModelFiles, openModelTokenizer, readSequences, silent } from "@safedelta/pipeline";
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

describe("tokens that do not count once", () => {
  const examples = [say("hello hello", "hello"), say("hello", "hello hello")];

  test("are those that all examples begin with, when these are left out", async () => {
    const { ids, weights, facts } = await read("shared.jsonl", examples, { skipTokens: "shared" });
    const shared = ids[0].findIndex((id, t) => id !== ids[1][t]);
    expect(shared).toBeGreaterThan(1);
    expect(weights).toEqual(ids.map((sequence) => sequence.map((_, t) => (t < shared ? 0 : 1))));
    expect(facts).toMatchObject({ nSkipped: shared });
    expect(facts).not.toHaveProperty("keyWeight");
  });

  test("are the last one before an answer and its first four, or as many as it has", async () => {
    const { ids, weights } = await read("keys.jsonl", [say("hello", "no"), say("hello", "no no no no no no")], {
      keyWeight: 5,
    });
    await using model = await openModelFiles(join(scratch.path, "model"), true, silent);
    const [arrow] = (await openModelTokenizer(model)).encode(">", { addSpecialTokens: false });
    const nKeys = (i: number) => Math.min(5, ids[i].length - ids[i].indexOf(arrow));
    expect([...ids.keys()].map(nKeys).sort()).toEqual([3, 5]);
    expect(weights).toEqual(
      ids.map((sequence, i) =>
        sequence.map((_, t) => (t >= sequence.indexOf(arrow) && t < sequence.indexOf(arrow) + nKeys(i) ? 5 : 1)),
      ),
    );
  });

  test("are none unless asked for", async () => {
    const { weights, facts } = await read("plain.jsonl", examples, { skipTokens: 0, keyWeight: 1 });
    expect(weights).toBeUndefined();
    expect(Object.keys(facts)).not.toContain("nSkipped");
  });

  test("are refused where nothing would be left, or one example is compared with none", async () => {
    await expect(read("bare.jsonl", examples, { skipTokens: 60 })).rejects.toThrow(
      /example 1 of those drawn has \d+ tokens.*--skip-tokens of the safe statistics/,
    );
    await expect(read("one.jsonl", [examples[0]], { skipTokens: "shared" })).rejects.toThrow(/there is one alone/);
    await expect(read("same.jsonl", [examples[0], examples[0]], { skipTokens: "shared" })).rejects.toThrow(
      /the other examples begin with all \d+ tokens/,
    );
  });
});
