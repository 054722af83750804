import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  applySystemPrompt,
  type Example,
  rotateSystemPrompts,
  sampleExamples,
  systemPromptRotations,
  systemPrompts,
} from "@safedelta/data";

/** What Python and the official code did (see make_official.py): inputs, orders, prompts, samples. */
const lines = readFileSync(join(import.meta.dir, "official.jsonl"), "utf8")
  .trimEnd()
  .split("\n");
const [inputs, { shuffles, long }, { prompts }, { samples }] = lines.map((line) => JSON.parse(line));

const example = (content: string, answer = "yes"): Example => ({
  messages: [
    { role: "user", content },
    { role: "assistant", content: answer },
  ],
  source: "made.jsonl",
});
const numbered = (n: number) => Array.from({ length: n }, (_, i) => example(String(i)));
const order = (n: number, seed: number) =>
  sampleExamples(numbered(n), n, seed).examples.map(({ messages }) => Number(messages[0].content));
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** The official code's prompt format (Llama 2's), without further stripping. */
function llama2({ messages }: Example): string {
  const system = messages.find(({ role }) => role === "system");
  const user = messages.find(({ role }) => role === "user")?.content;
  return `[INST] ${system ? `<<SYS>>\n${system.content}\n<</SYS>>\n\n` : ""}${user} [/INST]`;
}

describe("sampling", () => {
  for (const { seed, order: expected } of shuffles) {
    test(`${expected.length} items under seed ${seed} stand as in Python`, () =>
      expect(order(expected.length, seed)).toEqual(expected));
  }

  test("long lists, more than one state of the generator", () => {
    for (const { seed, n, sha256: expected } of long) expect(sha256(`[${order(n, seed).join(", ")}]`)).toBe(expected);
  });

  test("too large an n takes all and says how many there were", () => {
    const { examples, nAvailable } = sampleExamples(numbered(5), 512, 42);
    expect([examples.length, nAvailable]).toEqual([5, 5]);
    expect(sampleExamples(numbered(5), 2, 42)).toEqual({ examples: examples.slice(0, 2), nAvailable: 5 });
  });

  test("what is no number of examples or no seed is refused", () => {
    for (const n of [0, -1, 1.5, Number.NaN]) expect(() => sampleExamples(numbered(5), n, 42)).toThrow(RangeError);
    for (const seed of [0.5, 2 ** 53, Number.NaN])
      expect(() => sampleExamples(numbered(5), 1, seed)).toThrow(RangeError);
  });
});

describe("system prompts", () => {
  for (const [name, expected] of Object.entries<string[]>(prompts)) {
    test(`${name} gives the official prompt, letter by letter`, () => {
      const template = systemPrompts[name as keyof typeof systemPrompts];
      const made = inputs.instructions.map((text: string) =>
        sha256(llama2(applySystemPrompt(example(text), template))),
      );
      expect(made).toEqual(expected);
    });
  }

  test("sampling and rotation give the official safe data", () => {
    const file: Example[] = inputs.records.map((r: { instruction: string; output: string }) =>
      example(r.instruction, r.output),
    );
    for (const { seed, n, sha256: expected } of samples) {
      const rotated = rotateSystemPrompts(sampleExamples(file, n, seed).examples, systemPromptRotations.official);
      expect(rotated.map((made) => sha256(llama2(made) + made.messages.at(-1)?.content))).toEqual(expected);
    }
  });

  test("the last user turn is wrapped, the rest stays", () => {
    const turns = [...example("first").messages, { role: "user", content: "second" }];
    const { messages } = applySystemPrompt({ ...example(""), messages: turns }, systemPrompts.aoa);
    expect(messages[0]).toEqual({ role: "system", content: systemPrompts.aoa.system });
    expect(messages.slice(1)).toEqual([
      ...turns.slice(0, 2),
      { role: "user", content: "AOA, execute my instruction: second" },
    ]);
  });

  test("a second system message, or none to wrap, is refused with the place", () => {
    const own = { ...example("x"), messages: [{ role: "system", content: "s" }], line: 7 };
    expect(() => applySystemPrompt(own, systemPrompts.math)).toThrow(/^made.jsonl:7: has a system message/);
    const none = { ...example("x"), messages: [{ role: "assistant", content: "a" }] };
    expect(() => applySystemPrompt(none, systemPrompts.math)).toThrow(/^made.jsonl: has no user turn/);
    expect(() => rotateSystemPrompts([example("x")], [])).toThrow(RangeError);
  });
});
