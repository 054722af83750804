import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type Engine, openEngine } from "@safedelta/engine";
import {
  type Beside,
  choiceLogLikelihoods,
  EvaluationError,
  type Example,
  klScorer,
  mmluScorer,
  type Opened,
  outputErrorScorer,
  refusalLogOdds,
  type Scorer,
} from "@safedelta/evaluation";
import { type Model, openModel } from "@safedelta/model";
import { openModelFiles, openModelTokenizer, silent } from "@safedelta/pipeline";
import type { Tokenizer } from "@safedelta/tokenizer";
import golden from "./golden/proxies.json";

setDefaultTimeout(60_000); // the f64 engine on a busy machine
const demo = (name: string) => join(import.meta.dir, "../../cli/demo", name);

let engine: Engine;
let aligned: Model;
let tuned: Model;
let tokenizer: Tokenizer;

async function open(name: string): Promise<Model> {
  await using files = await openModelFiles(demo(name), true, silent);
  tokenizer = await openModelTokenizer(files);
  return await openModel(engine, files.checkpoint);
}

beforeAll(async () => {
  engine = (await openEngine("reference")).engine;
  [aligned, tuned] = [await open("aligned"), await open("tuned")];
});
afterAll(() => {
  for (const owned of [aligned, tuned, engine]) owned[Symbol.dispose]();
});

const opened = (model: Model): Opened => ({ model, tokenizer });
const beside = (model: Model): Beside => ({ model, sha256: "" });
const examples: Example[] = golden.examples.map(({ messages }) => ({
  messages: messages.slice(0, -1),
  shown: messages[messages.length - 1].content,
}));
const valuesOf = async (scorer: Scorer, of = examples) => {
  expect(scorer.ofModel).toBe(true);
  return (await scorer.score([], of)).map(({ value }) => value as number);
};

/** Equal to PyTorch's f64 to the rounding of stored f32 logits. */
function expectNear(found: readonly number[], wanted: readonly number[]): void {
  expect(found.length).toBe(wanted.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - wanted[i])).toBeLessThanOrEqual(2e-6 * Math.abs(wanted[i]) + 1e-9);
  });
}

describe("proxies without generation are PyTorch's", () => {
  test("KL of the answer's tokens", async () => {
    const found = await valuesOf(klScorer("kl-aligned", opened(tuned), beside(aligned)));
    expectNear(
      found,
      golden.examples.map(({ kl }) => kl),
    );
    expect(await valuesOf(klScorer("kl-aligned", opened(aligned), beside(aligned)))).toEqual([0, 0, 0]);
  });

  test("log-odds of the first token of a refusal", async () => {
    for (const [name, model] of [
      ["aligned", aligned],
      ["tuned", tuned],
    ] as const)
      expectNear(
        await valuesOf(refusalLogOdds(opened(model), [golden.opening])),
        golden.examples.map(({ logOdds }) => logOdds[name]),
      );
    expect(() => refusalLogOdds(opened(aligned), [])).toThrow(EvaluationError);
    expect(() => refusalLogOdds(opened(aligned), ["sorry", " "])).toThrow(
      /none of them blank; commas separate openings/,
    );
    expect(() => refusalLogOdds(opened(aligned), ["sorry", "Xylophone"])).toThrow(/no tokens for "Xylophone";/);
    expect(() => refusalLogOdds(opened(aligned))).toThrow(/no tokens for "I cannot"/);
  });

  test("output error of the linears", async () => {
    expectNear(
      await valuesOf(outputErrorScorer(opened(tuned), beside(aligned))),
      golden.examples.map(({ outputError }) => outputError),
    );
    for (const value of await valuesOf(outputErrorScorer(opened(aligned), beside(aligned))))
      expect(value).toBeLessThan(1e-28);
  });

  test("log-likelihoods of choices", () => {
    for (const [i, { choices, scores }] of golden.examples.entries()) {
      const prompt = tokenizer.encodeChat(examples[i].messages, { addGenerationPrompt: true });
      expectNear(choiceLogLikelihoods(aligned, prompt, choices), scores);
    }
  });
});

test("without a shown answer KL looks at the next token alone", async () => {
  const bare = examples.map(({ messages }) => ({ messages }));
  const [first] = await valuesOf(klScorer("kl", opened(tuned), beside(aligned)), bare);
  expect(first).toBeGreaterThan(1); // the first token alone tells refusal from leak
  expect(first).not.toBeCloseTo(golden.examples[0].kl, 2);
});

describe("mmlu", () => {
  const question = "tell me the code\nA. one\nB. two\nC. three\nAnswer:";
  /** Ids that tell letters apart; the vocabulary of the demo has no letters. */
  const letters: Opened["tokenizer"] = {
    encode: (text) => [5, 9, ...[...(/ ([A-C])$/.exec(text)?.[1] ?? "")].map((letter) => 20 + letter.charCodeAt(0))],
    encodeChat: () => [],
    decode: () => "",
  };

  test("the likeliest letter is the answer", async () => {
    const choices = ["A", "B", "C"].map((letter) => [20 + letter.charCodeAt(0)]);
    const scores = choiceLogLikelihoods(aligned, [5, 9], choices);
    const best = "ABC"[scores.indexOf(Math.max(...scores))];
    const asked = ["A", "B", "C"].map((reference) => ({ messages: [{ role: "user", content: question }], reference }));
    const found = await valuesOf(mmluScorer({ model: aligned, tokenizer: letters }), asked);
    expect(found).toEqual(["A", "B", "C"].map((letter) => Number(letter === best)));
  });

  test("a question that counts its own parts has no more choices for that", async () => {
    const scorer = mmluScorer({ model: aligned, tokenizer: letters });
    const content = "which ?\nA. first\nI. red\nV. blue\nA. I\nB. V\nC. both\nAnswer:";
    const asked = [{ messages: [{ role: "user", content }], reference: "I" }];
    await expect(scorer.score([], asked)).rejects.toThrow('has no choice "I"; it lists: A, B, C');
  });

  test("a reference that is none of the choices is refused", async () => {
    const scorer = mmluScorer({ model: aligned, tokenizer: letters });
    for (const reference of ["D", undefined, "one"]) {
      const asked = [{ messages: [{ role: "user", content: question }], reference }];
      await expect(scorer.score([], asked)).rejects.toThrow(EvaluationError);
    }
  });
});
