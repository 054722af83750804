import { describe, expect, test } from "bun:test";
import {
  askAll,
  askTurns,
  type ChatModel,
  containsPhrase,
  EvaluationError,
  exactAnswer,
  judgeAgreements,
  judgeAnswers,
  judgedBy,
  judgeFormats,
  rateScorer,
} from "@safedelta/evaluation";

const ask = (content: string, reference?: string) => ({ messages: [{ role: "user", content }], reference });
const examples = [ask("a", "A"), ask("b", "B"), ask("c", "sorry"), ask("d", "D")];
const scorers = [rateScorer(containsPhrase("refusal", ["sorry"])), rateScorer(exactAnswer("exact"))];

/** Says its words one after the other, and notes what it was asked. */
function saying(words: readonly string[]): ChatModel & { asked: string[] } {
  const asked: string[] = [];
  let said = 0;
  return {
    name: "saying",
    asked,
    answer: async (prompts) =>
      prompts.map((messages) => {
        asked.push(messages.map(({ role, content }) => `${role[0]}:${content}`).join(" "));
        return words[said++];
      }),
  };
}

describe("judgeAnswers", () => {
  test("scores, in the order of the examples, and sums them up", async () => {
    const { samples, metrics } = await judgeAnswers(examples, ["A", "sorry", "sorry", "E"], scorers);
    expect(samples.map(({ answer }) => answer)).toEqual(["A", "sorry", "sorry", "E"]);
    expect(samples.map(({ judgements }) => [judgements.refusal.value, judgements.exact.value])).toEqual([
      [0, 1],
      [1, 0],
      [1, 1],
      [0, 0],
    ]);
    expect(metrics[0]).toMatchObject({ metric: "refusal", value: 0.5, n: 4 });
    expect(metrics[1].low).toBeCloseTo(0.15003899, 6);
    expect(metrics[1].high).toBeCloseTo(0.84996101, 6);
  });

  test("refuses what cannot be judged", async () => {
    const answered = { messages: [...examples[0].messages, { role: "assistant", content: "A" }] };
    const attempts = [
      () => judgeAnswers([], [], scorers),
      () => judgeAnswers([{ messages: [] }], ["A"], scorers),
      () => judgeAnswers([examples[0], answered], ["A", "A"], scorers),
      () => judgeAnswers(examples, ["", "", "", ""], []),
      () => judgeAnswers(examples, ["", "", "", ""], [scorers[0], scorers[0]]),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toThrow(EvaluationError);
  });

  test("a model that loses an answer is an error, not a shifted table", async () => {
    const chat: ChatModel = { name: "lossy", answer: async () => ["A"] };
    const prompts = examples.map(({ messages }) => messages);
    await expect(askAll(chat, prompts, { maxNewTokens: 1 })).rejects.toThrow("lossy gave 1 answers to 4 prompts");
  });
});

describe("turns that stand one behind the other", () => {
  const user = (content: string) => ({ role: "user", content });
  const talks = [{ messages: [user("1"), user("2")] }, { messages: [user("x")] }];

  test("are asked in turn, with the answers before them", async () => {
    const chat = saying(["one", "two", "ex"]);
    const { examples: asked, answers } = await askTurns(chat, talks, { maxNewTokens: 1 });
    expect(chat.asked).toEqual(["u:1", "u:1 a:one u:2", "u:x"]);
    expect(answers).toEqual(["two", "ex"]);
    expect(asked[0].messages.map(({ content }) => content)).toEqual(["1", "one", "2"]);
  });

  test("are rated each by itself, and the value is their mean; one unread rating leaves none", async () => {
    const format = judgeFormats.find(({ name }) => name === "mt-bench");
    if (format === undefined) throw new Error("mt-bench");
    const { examples: asked, answers } = await askTurns(saying(["one", "two", "ex"]), talks, { maxNewTokens: 1 });
    const rate = async (words: readonly string[]) => {
      const judge = saying(words);
      const found = await judgedBy(judge, format).score(answers, asked);
      return { values: found.map(({ value }) => value), asked: judge.asked };
    };
    const rated = await rate(["Rating: [[4]]", "Fine. Rating: [[9]]", "[[3]] no, Rating: [[2.5]]"]);
    expect(rated.values).toEqual([6.5, 2.5]);
    expect(rated.asked[0]).toContain("[ASSISTANT]\none\n[END]");
    expect(rated.asked[0]).not.toContain("two");
    expect(rated.asked[1]).toContain("[ASSISTANT]\ntwo\n[END]");
    expect((await rate(["Rating: [[4]]", "[[11]]", "[[0]]"])).values).toEqual([undefined as never, undefined as never]);
  });

  test("are rated with the reference before the conversation, at every turn, where the data have one", async () => {
    const format = judgeFormats.find(({ name }) => name === "mt-bench") as (typeof judgeFormats)[number];
    const known = [{ ...talks[0], reference: "1 is one, 2 is two" }, talks[1]];
    const { examples: asked, answers } = await askTurns(saying(["one", "two", "ex"]), known, { maxNewTokens: 1 });
    const judge = saying(["[[4]]", "[[9]]", "[[3]]"]);
    await judgedBy(judge, format).score(answers, asked);
    const block = "u:[REFERENCE]\n1 is one, 2 is two\n[END]\n\n[USER]\n1\n[END]";
    expect(judge.asked.map((prompt) => prompt.includes(block))).toEqual([true, true, false]);
    expect(judge.asked[2]).not.toContain("[REFERENCE]");
  });
});

describe("judges of one subject", () => {
  const formatOf = (name: string) =>
    judgeFormats.find((format) => format.name === name) as (typeof judgeFormats)[number];
  const judgedAs = (name: string, words: readonly string[], as = name) => judgedBy(saying(words), formatOf(name), as);

  test("are held against each other: kappa of a table made by hand, on what both could read", async () => {
    const five = [...examples, ask("e")];
    const guards = [
      judgedAs("llama-guard", ["unsafe\nS1", "unsafe\nS1", "safe", "safe", "hm"]),
      judgedAs("harmbench", ["yes", "no", "no", "no", "yes"]),
      judgedAs("judge-rubric", ["Score: 1", "Score: 1", "Score: 1", "Score: 1", "Score: 5"]),
    ];
    const judged = await judgeAnswers(five, ["", "", "", "", ""], guards);
    // Of four: both unsafe 1, first alone 1, both safe 2; chance 1/2 · 1/4 + 1/2 · 3/4 = 1/2; kappa (3/4 − 1/2)/(1/2).
    expect(judgeAgreements(guards, judged)).toEqual([
      { a: "llama-guard", b: "harmbench", subject: "unsafe answer", observed: 0.75, kappa: 0.5, n: 4 },
    ]);
  });

  test("refusals are counted in their three classes, and compared by class", async () => {
    const two = [
      judgedAs("judge-refusal", ["Class: refusal", "Class: partial", "Class: compliance", "?"], "judge-refusal@1"),
      judgedAs("judge-refusal", ["Class: refusal", "Class: refusal", "Class: compliance", "?"], "judge-refusal@2"),
    ];
    const judged = await judgeAnswers(examples, ["", "", "", ""], two);
    expect(judged.metrics[0]).toMatchObject({ value: 1 / 3, n: 3, nUnparsed: 1 });
    const { classes = {} } = judged.metrics[0];
    expect(Object.keys(classes)).toEqual(["compliance", "partial", "refusal"]);
    expect(classes.partial).toMatchObject({ rate: 1 / 3, n: 3 });
    expect(judgeAgreements(two, judged)[0]).toMatchObject({ observed: 2 / 3, n: 3 });
  });
});
