import { describe, expect, test } from "bun:test";
import { type ChatModel, containsPhrase, EvaluationError, evaluate, exactAnswer } from "@safedelta/evaluation";

const ask = (content: string, reference?: string) => ({ messages: [{ role: "user", content }], reference });
const examples = [ask("a", "A"), ask("b", "B"), ask("c", "sorry"), ask("d", "D")];
const metrics = [containsPhrase("refusal", ["sorry"]), exactAnswer("exact")];

/** Answers from a table, and notes what it was asked. */
function scripted(answers: Record<string, string>): ChatModel & { asked: unknown[] } {
  const asked: unknown[] = [];
  return {
    name: "scripted",
    asked,
    answer: async (prompts, options) => {
      asked.push(options);
      return prompts.map((messages) => answers[messages[0].content]);
    },
  };
}

describe("evaluate", () => {
  test("answers, scores and rates, in the order of the examples", async () => {
    const chat = scripted({ a: "A", b: "sorry", c: "sorry", d: "E" });
    const found = await evaluate(chat, examples, metrics, { maxNewTokens: 7 });
    expect(chat.asked).toEqual([{ maxNewTokens: 7 }]);
    expect(found.model).toBe("scripted");
    expect(found.examples.map(({ answer }) => answer)).toEqual(["A", "sorry", "sorry", "E"]);
    expect(found.examples.map(({ example }) => example)).toEqual(examples);
    expect(found.examples.map(({ scores }) => [scores.refusal, scores.exact])).toEqual([
      [false, true],
      [true, false],
      [true, true],
      [false, false],
    ]);
    expect(found.rates.refusal).toMatchObject({ rate: 0.5, n: 4 });
    expect(found.rates.exact.low).toBeCloseTo(0.15003899, 6);
    expect(found.rates.exact.high).toBeCloseTo(0.84996101, 6);
  });

  test("refuses what cannot be evaluated before the model is asked", async () => {
    const chat = scripted({});
    const answered = { messages: [...examples[0].messages, { role: "assistant", content: "A" }] };
    const attempts = [
      () => evaluate(chat, [], metrics, { maxNewTokens: 1 }),
      () => evaluate(chat, [{ messages: [] }], metrics, { maxNewTokens: 1 }),
      () => evaluate(chat, [examples[0], answered], metrics, { maxNewTokens: 1 }),
      () => evaluate(chat, examples, [], { maxNewTokens: 1 }),
      () => evaluate(chat, examples, [metrics[0], metrics[0]], { maxNewTokens: 1 }),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toThrow(EvaluationError);
    expect(chat.asked).toEqual([]);
  });

  test("a model that loses an answer is an error, not a shifted table", async () => {
    const chat: ChatModel = { name: "lossy", answer: async () => ["A"] };
    await expect(evaluate(chat, examples, metrics, { maxNewTokens: 1 })).rejects.toThrow(
      "lossy gave 1 answers to 4 prompts",
    );
  });
});
