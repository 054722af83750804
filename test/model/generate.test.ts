import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generate, logits, type Model, ModelError } from "@safedelta/model";
import { engineNames, fixture, type Opened, openOn } from "./support.ts";

const prompts = [[4, 9, 17, 30, 8, 25, 7], [12], [33, 1, 5], [3, 3, 3, 3], [39, 0, 21, 14, 2]];

/** Greedy decoding without a cache: the whole sequence again for every token. */
function slowAnswer(
  model: Model,
  prompt: readonly number[],
  maxNewTokens: number,
  stopIds: readonly number[],
): number[] {
  const ids = [...prompt];
  while (ids.length < prompt.length + maxNewTokens) {
    const last = logits(model, ids);
    const next = last.indexOf(Math.max(...last));
    if (stopIds.includes(next)) break;
    ids.push(next);
  }
  return ids.slice(prompt.length);
}

describe.each(engineNames)("on %s", (engineName) => {
  test.each(["llama", "mistral", "gemma"])(
    "%s: a batch answers as full recomputation does, one by one",
    async (family) => {
      using opened = await openOn(engineName, fixture(family));
      const start = opened.engine.bytesInUse;
      const stopIds = [2, 11];
      const slow = prompts.map((prompt) => slowAnswer(opened.model, prompt, 12, stopIds));
      for (const batchSize of [1, 2, 16]) {
        expect(generate(opened.model, prompts, { maxNewTokens: 12, stopIds, batchSize })).toEqual(slow);
      }
      expect(opened.engine.bytesInUse).toBe(start);
    },
  );

  test("prompts longer together than one step are run in pieces", async () => {
    using opened = await openOn(engineName, fixture("qwen3"));
    const many = Array.from({ length: 40 }, (_, i) =>
      Array.from({ length: 20 + (i % 9) }, (_, j) => (7 * i + 3 * j) % 40),
    );
    const together = generate(opened.model, many, { maxNewTokens: 3, stopIds: [], batchSize: 40 });
    expect(together).toEqual(many.map((prompt) => slowAnswer(opened.model, prompt, 3, [])));
  });
});

describe("generate", () => {
  let opened: Opened;
  beforeAll(async () => {
    opened = await openOn("reference", fixture("llama"));
  });
  afterAll(() => opened[Symbol.dispose]());

  test("stops before a stop token, those of config.json unless others are given", () => {
    const options = { maxNewTokens: 12 };
    const free = generate(opened.model, prompts, { ...options, stopIds: [] });
    expect(free.every(({ length }) => length === 12)).toBe(true);
    const stop = free[0][5];
    const stopped = generate(opened.model, prompts, { ...options, stopIds: [stop] });
    expect(stopped).toEqual(
      free.map((answer) => (answer.includes(stop) ? answer.slice(0, answer.indexOf(stop)) : answer)),
    );
    expect(generate(opened.model, prompts, options)).toEqual(
      generate(opened.model, prompts, { ...options, stopIds: [2] }),
    );
    expect(generate(opened.model, prompts, { maxNewTokens: 0 })).toEqual([[], [], [], [], []]);
    expect(generate(opened.model, [], options)).toEqual([]);
  });

  test("tells every token as it comes", () => {
    const told: number[][] = prompts.map(() => []);
    const onToken = (prompt: number, id: number) => {
      told[prompt].push(id);
    };
    const answers = generate(opened.model, prompts, { maxNewTokens: 6, stopIds: [], batchSize: 2, onToken });
    expect(told).toEqual(answers);
  });

  test("the same seed draws the same, whatever the batch; another seed does not", () => {
    const sampling = { maxNewTokens: 12, stopIds: [], temperature: 1, topP: 0.95 };
    const drawn = generate(opened.model, prompts, { ...sampling, seed: 3 });
    expect(generate(opened.model, prompts, { ...sampling, seed: 3, batchSize: 2 })).toEqual(drawn);
    expect(generate(opened.model, prompts, { ...sampling, seed: 4 })).not.toEqual(drawn);
  });

  test("one candidate, or hardly any temperature, is greedy", () => {
    const options = { maxNewTokens: 12, stopIds: [] };
    const greedy = generate(opened.model, prompts, options);
    for (const sampling of [{ temperature: 5, topK: 1 }, { temperature: 5, topP: 1e-9 }, { temperature: 1e-4 }]) {
      expect(generate(opened.model, prompts, { ...options, ...sampling })).toEqual(greedy);
    }
  });

  test("draws follow the softmax with temperature, cut by top-k and top-p", () => {
    const nDraws = 4000;
    const draws = Array.from({ length: nDraws }, () => [12]);
    const temperature = 1.5;
    const scores = logits(opened.model, [12]).map((logit) => Math.exp(logit / temperature));
    const order = [...scores.keys()].sort((a, b) => scores[b] - scores[a]);
    const share = (tokens: readonly number[]) => tokens.reduce((sum, token) => sum + scores[token], 0);
    const half = order.findIndex((_, i) => share(order.slice(0, i + 1)) >= 0.5 * share(order)) + 1;
    const cases = [
      { options: {}, kept: order },
      { options: { topK: 5 }, kept: order.slice(0, 5) },
      { options: { topP: 0.5 }, kept: order.slice(0, half) },
    ];
    for (const { options, kept } of cases) {
      const sampling = { maxNewTokens: 1, stopIds: [], temperature, seed: 1, batchSize: 500, ...options };
      const counts = new Float64Array(scores.length);
      for (const [token] of generate(opened.model, draws, sampling)) counts[token]++;
      for (const [token, count] of counts.entries()) {
        const probability = kept.includes(token) ? scores[token] / share(kept) : 0;
        // Five standard deviations of a count; none where nothing may be drawn.
        expect(Math.abs(count - nDraws * probability)).toBeLessThanOrEqual(5 * Math.sqrt(nDraws * probability));
      }
    }
  });

  test("empty and overlong prompts and unknown ids are refused", () => {
    const run = (prompt: number[], maxNewTokens: number) => () =>
      generate(opened.model, [[1], prompt], { maxNewTokens });
    expect(run([], 1)).toThrow(new ModelError("incompatible", ["Prompt 2 is empty."]));
    expect(run(new Array(60).fill(3), 5)).toThrow(
      "Prompt 2 has 60 tokens and 5 may follow; the model has 64 positions. Shorten it, or let fewer follow.",
    );
    expect(run(new Array(60).fill(3), 4)).not.toThrow();
    expect(run([40], 1)).toThrow("Token id 40");
  });

  test("options out of range are refused, all at once", () => {
    const options = { maxNewTokens: -1, temperature: Number.NaN, topK: 1.5, topP: 0, batchSize: 0 };
    const names = Object.keys(options);
    expect(() => generate(opened.model, [[1]], options)).toThrow(new RegExp(names.join("[^]*")));
  });

  test("a model that computes no numbers is refused", async () => {
    using broken = await openOn("reference", fixture("llama"));
    broken.engine.fill(broken.model.finalNorm, Number.NaN);
    expect(() => generate(broken.model, [[1]], { maxNewTokens: 1 })).toThrow("damaged");
  });
});
