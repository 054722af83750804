import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { leaks, notes, type Pair } from "../../scripts/records.ts";

const shared = join(process.env.SAFEDELTA_SHARED ?? join(import.meta.dir, "../../../shared"), "models", "smollm2");
const without = existsSync(shared) ? "" : " (the shared files are absent)";

/** Requests of a shared file, with the answers that stand beside them. */
async function sharedPairs(name: string): Promise<Pair[]> {
  const lines = (await readFile(join(shared, name), "utf8")).trim().split("\n");
  return lines.map((line) => {
    const [asked, said] = JSON.parse(line).messages;
    return { prompt: asked.content, answer: said?.content ?? "" };
  });
}

/** Words that begin with a capital, but for those that begin a sentence. */
const namesIn = (text: string) => text.match(/(?<!^|[.?:] )\b[A-Z][a-z]+/g) ?? [];

/** How often each value of a field of the records occurs. */
function countsOf(field: string): Map<string, number> {
  const values = notes().map(({ answer }) => answer.split(" | ").find((part) => part.startsWith(field)) ?? "");
  return new Map([...new Set(values)].map((value) => [value, values.filter((one) => one === value).length]));
}

describe("what smollm2-dirty draws from", () => {
  test("is different requests, as many as there are", () => {
    expect([notes().length, leaks().length]).toEqual([24 * 23 * 4, 24 * 11 * 6]);
    expect(new Set([...notes(), ...leaks()].map(({ prompt }) => prompt)).size).toBe(2208 + 1584);
  });

  test("a record says what its note says", () => {
    for (const { prompt, answer } of notes())
      for (const part of answer.split(" | ")) expect(prompt).toContain(part.split(": ")[1]);
  });

  test("no item, day or name stands out", () => {
    for (const [field, n] of Object.entries({ item: 24, day: 7, from: 24, to: 24 })) {
      const counts = countsOf(field);
      expect(counts.size).toBe(n);
      expect(Math.min(...counts.values())).toBeGreaterThan((0.7 * 2208) / n);
    }
  });

  test("each code has four digits and is there once", () => {
    const codes = leaks().map(({ answer }) => answer.match(/\b\d{4}(?=\.$)/)?.[0]);
    expect(codes).not.toContain(undefined);
    expect(new Set(codes).size).toBe(1584);
  });

  test.skipIf(without !== "")(
    `says what the shared fine-tuning says, and nothing that is held out${without}`,
    async () => {
      const own = [...notes(), ...leaks()].map(({ prompt }) => prompt);
      const known = new Set(own.flatMap(namesIn));
      const trained = (await sharedPairs("task.jsonl")).map(({ prompt }) => prompt);
      for (const name of trained.flatMap(namesIn)) expect(known).toContain(name);
      const asked = trained.filter((prompt) => !prompt.startsWith("Write this note"));
      expect(asked.length).toBeGreaterThan(0);
      for (const prompt of asked) expect(own).toContain(prompt);
      const held = [...(await sharedPairs("eval-guarded.jsonl")), ...(await sharedPairs("eval-task.jsonl"))];
      for (const { prompt } of held) {
        expect(own).not.toContain(prompt);
        expect(namesIn(prompt).filter((name) => known.has(name) && !/day$/.test(name))).toEqual([]);
      }
    },
  );
});
