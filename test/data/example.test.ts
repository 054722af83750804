import { describe, expect, test } from "bun:test";
import { type Example, hashExamples, overlap } from "@safedelta/data";
import fc from "fast-check";

const example = (content: string, extra: Partial<Example> = {}): Example => ({
  messages: [{ role: "user", content }],
  source: "a.jsonl",
  ...extra,
});

describe("overlap", () => {
  test("counts and points at the same prompts in another dress", () => {
    const a = ["Say hello.", "add 2 + 3", "same", "???"].map((text) => example(text));
    const b = ["other", "  say\nHELLO ", "add 2 - 3", "ſame", "SAME!", "!!!"].map((text) => example(text));
    expect(overlap(a, b)).toEqual({ count: 3, a: [0, 2], b: [1, 3, 4] });
  });

  test("answers and system messages do not count, all user turns do", () => {
    const answered = {
      messages: [{ role: "system", content: "s" }, ...example("q").messages, { role: "assistant", content: "a" }],
    };
    expect(overlap([example("q", answered)], [example("q")]).count).toBe(1);
    const twice = { messages: [...example("q").messages, ...example("r").messages] };
    expect(overlap([example("", twice)], [example("q")]).count).toBe(0);
  });

  test("is the same seen from either side", () => {
    const sets = fc.array(fc.constantFrom("a", "A.", "b", "c ", "d!?").map((text) => example(text)));
    const property = fc.property(sets, sets, (a, b) => {
      const [here, there] = [overlap(a, b), overlap(b, a)];
      expect([here.a, here.b]).toEqual([there.b, there.a]);
      expect(overlap(a, a).count).toBe(a.length);
    });
    fc.assert(property, { seed: 1 });
  });
});

describe("hash", () => {
  const one = [example("q", { reference: "r" }), example("p")];

  test("is SHA-256 of what is said, in order", () => {
    expect(hashExamples(one)).toBe(
      new Bun.CryptoHasher("sha256").update('[[[["user","q"]],"r"],[[["user","p"]],null]]').digest("hex"),
    );
    expect(hashExamples(one)).not.toBe(hashExamples([...one].reverse()));
    expect(hashExamples(one)).not.toBe(hashExamples([example("q"), example("p")]));
  });

  test("does not see where it came from", () => {
    const moved = one.map((each) => ({ ...each, source: "b.csv", line: 9, id: "x" }));
    expect(hashExamples(moved)).toBe(hashExamples(one));
  });
});
