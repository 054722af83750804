import { describe, expect, test } from "bun:test";
import { EvaluationError, gsm8kAnswer, type Rouge, rougeOfCounts, rougeOfSets } from "@safedelta/evaluation";
import golden from "./golden/scores.json";

const numbers = ({ precision, recall, f1 }: Rouge) => [precision, recall, f1];

describe("ROUGE-1", () => {
  test("as the packages rouge 1.0.1 and rouge_score 0.1.2", () => {
    expect(golden.pairs.length).toBe(24);
    for (const { answer, reference, sets, counts } of golden.pairs) {
      numbers(rougeOfSets(answer, reference)).forEach((value, i) => {
        expect(value).toBeCloseTo(sets[i], 14);
      });
      numbers(rougeOfCounts(answer, reference)).forEach((value, i) => {
        expect(value).toBeCloseTo(counts[i], 14);
      });
    }
  });

  test("an empty answer has no words in common", () => {
    expect(numbers(rougeOfSets("", "a b"))).toEqual([0, 0, 0]);
    expect(numbers(rougeOfCounts("…", "a b"))).toEqual([0, 0, 0]);
  });
});

describe("gsm8k", () => {
  const metric = gsm8kAnswer("gsm8k");
  const score = (answer: string, reference = "half of it is 500\n#### 1,000") =>
    metric.score(answer, { messages: [], reference });

  test.each([
    ["#### 1000", true],
    ["#### $1,000.00", true],
    ["so it is 1,000 dollars.", true],
    ["#### 1000 after 7 days", true],
    ["1000, no, 999", false],
    ["-1000", false],
    ["a thousand", false],
    ["", false],
  ])("%p: %p", (answer, right) => {
    expect(score(answer)).toBe(right);
  });

  test("a missing reference, and one without a number, are told", () => {
    expect(() => metric.score("4", { messages: [{ role: "user", content: "2 + 2 ?" }] })).toThrow(
      'the example "2 + 2 ?" has no reference to compare with. Add one to the data, or name its column, as FILE#prompt=',
    );
    expect(() => score("1", "none")).toThrow(EvaluationError);
  });
});
