import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { generate, generateScored, logits, openDecoder, scoreToken, streamText } from "@safedelta/model";
import { Random } from "../support/random.ts";
import { fixture, type Opened, openOn } from "./support.ts";

/** Of f32 logits of a few units. */
const tolerance = 1e-5;

/** log softmax by the textbook, in f64. */
function logSoftmax(row: Float32Array): number[] {
  const sum = row.reduce((total, x) => total + Math.exp(x), 0);
  return Array.from(row, (x) => x - Math.log(sum));
}

let opened: Opened;
beforeAll(async () => {
  opened = await openOn("wasm", fixture("llama"));
});
afterAll(() => opened[Symbol.dispose]());

const prompts = [[4, 9, 17, 30, 8, 25, 7], [12], [33, 1, 5], [3, 3, 3, 3], [39, 0, 21, 14, 2]];

describe("log-probabilities", () => {
  test("of prompt and answer are those of the whole text run at once", () => {
    const options = { maxNewTokens: 6, stopIds: [], nTop: 3, scorePrompt: true };
    const answers = generateScored(opened.model, prompts, options);
    answers.forEach(({ tokens, promptScores }, i) => {
      const ids = [...prompts[i], ...tokens.map(({ id }) => id)];
      const scores = [...promptScores, ...tokens.map(({ score }) => score)];
      const all = logits(opened.model, ids, "all");
      const size = all.length / ids.length;
      expect(scores.length).toBe(ids.length - 1);
      scores.forEach((score, at) => {
        const expected = logSoftmax(all.subarray(at * size, (at + 1) * size));
        expect(score?.id).toBe(ids[at + 1]);
        expect(Math.abs((score?.logprob ?? Number.NaN) - expected[ids[at + 1]])).toBeLessThan(tolerance);
        const best = expected.toSorted((a, b) => b - a).slice(0, 3);
        score?.top.forEach(({ id, logprob }, place) => {
          expect(Math.abs(logprob - best[place])).toBeLessThan(tolerance);
          expect(Math.abs(logprob - expected[id])).toBeLessThan(tolerance);
        });
        expect(score?.top.length).toBe(3);
      });
    });
  });

  test("of a long prompt alone, more positions than one step scores", () => {
    const ids = Array.from({ length: 60 }, (_, i) => (7 * i) % 40);
    const [{ promptScores, tokens, finish }] = generateScored(opened.model, [ids], {
      maxNewTokens: 0,
      scorePrompt: true,
    });
    expect({ n: promptScores.length, tokens, finish }).toEqual({ n: 59, tokens: [], finish: "length" });
    const all = logits(opened.model, ids, "all");
    const size = all.length / ids.length;
    promptScores.forEach(({ logprob }, at) => {
      const expected = logSoftmax(all.subarray(at * size, (at + 1) * size))[ids[at + 1]];
      expect(Math.abs(logprob - expected)).toBeLessThan(tolerance);
    });
  });

  test("of equals the smaller id comes first; a token among the likeliest has the same number there", () => {
    const { logprob, top } = scoreToken(Float32Array.of(1, 3, 3, 0), 2, 3);
    expect(top.map(({ id }) => id)).toEqual([1, 2, 0]);
    expect(top[1].logprob).toBe(logprob);
  });
});

describe("a decoder", () => {
  test("sequences come and go between steps, and each is answered as alone", () => {
    const random = new Random(7);
    const all = Array.from({ length: 24 }, (_, i) => Array.from({ length: 1 + (i % 9) }, () => random.int(0, 40)));
    const alone = all.map((ids) => generate(opened.model, [ids], { maxNewTokens: 5, stopIds: [] })[0]);
    const start = opened.engine.bytesInUse;
    {
      using decoder = openDecoder(opened.model, { nSequences: 4, nCacheRows: 40, nStepTokens: 6 });
      const waiting = [...all.keys()];
      const open = new Map<number, NonNullable<ReturnType<typeof decoder.add>>>();
      const got: (number[] | undefined)[] = [];
      while (waiting.length > 0 || decoder.nOpen > 0) {
        const sequence =
          waiting.length > 0 ? decoder.add({ ids: all[waiting[0]], maxNewTokens: 5, stopIds: [] }) : undefined;
        if (sequence) open.set(waiting.shift() as number, sequence);
        decoder.step();
        // One in five is not wanted any more.
        for (const [i, one] of open) if (i % 5 === 4 && one.tokens.length === 2) decoder.remove(one);
      }
      for (const [i, { tokens, finish }] of open) {
        got[i] = tokens.map(({ id }) => id);
        expect(finish).toBe(i % 5 === 4 ? undefined : "length");
      }
      expect(got).toEqual(alone.map((answer, i) => (i % 5 === 4 ? answer.slice(0, 2) : answer)));
      // All rows are free again.
      expect(decoder.add({ ids: [1], maxNewTokens: 39, stopIds: [] })).toMatchObject({ tokens: [] });
    }
    expect(opened.engine.bytesInUse).toBe(start);
  });

  test("takes over what another prompt that begins alike has run, and answers as alone", () => {
    const beginning = Array.from({ length: 20 }, (_, i) => (7 * i + 3) % 40);
    const all = [[1], [2, 3], [2, 4, 5], [9]].map((end) => [...beginning, ...end]);
    const options = { maxNewTokens: 4, stopIds: [], nTop: 2 };
    const alone = all.map((ids) => generateScored(opened.model, [ids], options)[0].tokens);
    using decoder = openDecoder(opened.model, { nSequences: 4, nCacheRows: 200 });
    const gathered = spyOn(opened.engine, "gather");
    const sequences = all.map((ids) => decoder.add({ ids, ...options }));
    while (decoder.nOpen > 0) decoder.step();
    for (const [i, tokens] of alone.entries())
      for (const [t, { id, score }] of tokens.entries()) {
        const found = sequences[i]?.tokens[t];
        expect(found?.id).toBe(id);
        expect(found?.score?.logprob).toBeCloseTo(score?.logprob as number, 5);
      }
    // Of each step the tokens go through the embedding first.
    const nRun = gathered.mock.calls.flatMap(([from, ids]) => (from === opened.model.embedding ? [ids?.length] : []));
    expect(nRun.slice(0, 2)).toEqual([21, 1 + 2 + 3 + 1]);
    gathered.mockRestore();
  });

  test("waits for a long beginning that is run over several steps, unless it is not wanted any more", () => {
    const beginning = Array.from({ length: 40 }, (_, i) => (7 * i + 3) % 40);
    const all = [[1], [2], [3]].map((end) => [...beginning, ...end]);
    const options = { maxNewTokens: 2, stopIds: [] };
    const alone = all.map((ids) => generate(opened.model, [ids], options)[0]);
    /** Tokens that the steps run, the source being removed before step `removedAt`. */
    const runAll = (removedAt = Number.POSITIVE_INFINITY) => {
      using decoder = openDecoder(opened.model, { nSequences: 3, nCacheRows: 200, nStepTokens: 8 });
      const gathered = spyOn(opened.engine, "gather");
      const sequences = all.map((ids) => decoder.add({ ids, ...options }));
      for (let step = 0; decoder.nOpen > 0; step++) {
        if (step === removedAt && sequences[0]) decoder.remove(sequences[0]);
        decoder.step();
      }
      const run = gathered.mock.calls.filter(([from]) => from === opened.model.embedding);
      gathered.mockRestore();
      const answers = sequences.map((one) => one?.tokens.map(({ id }) => id));
      return { answers, nRun: run.reduce((sum, [, ids]) => sum + (ids?.length ?? 0), 0) };
    };
    // Of the 40 that are shared 32 are taken over: for the last 8 nobody waits.
    expect(runAll()).toEqual({ answers: alone, nRun: 41 + 1 + 2 * (9 + 1) });
    const { answers } = runAll(3);
    expect(answers.slice(1)).toEqual(alone.slice(1));
  });

  test("says why an answer ended", () => {
    const [free] = generate(opened.model, [prompts[0]], { maxNewTokens: 6, stopIds: [] });
    const ends = (stopIds: number[]) =>
      generateScored(opened.model, [prompts[0]], { maxNewTokens: 6, stopIds })[0].finish;
    expect([ends([]), ends([free[5]])]).toEqual(["length", "stop"]);
  });

  test("has no room where the cache or the places are taken", () => {
    using decoder = openDecoder(opened.model, { nSequences: 2, nCacheRows: 20 });
    const add = (maxNewTokens: number) => decoder.add({ ids: [1, 2], maxNewTokens, stopIds: [] });
    expect(add(19)).toBeUndefined();
    const first = add(10);
    expect(first && add(7)).toBeUndefined();
    expect(add(6)).toMatchObject({ tokens: [] });
    expect(add(1)).toBeUndefined();
  });
});

describe("streamText", () => {
  const decode = (ids: readonly number[]) => String.fromCharCode(...ids.map((id) => 97 + id));
  const prompt = { ids: prompts[0], maxNewTokens: 12, stopIds: [] };
  const collect = async (options: { stops?: string[]; signal?: AbortSignal }) => {
    const pieces: string[] = [];
    for await (const piece of streamText(opened.model, prompt, { decode, ...options })) pieces.push(piece);
    return pieces;
  };

  test("gives each token's text as it comes, up to a stop string", async () => {
    const text = decode(generate(opened.model, [prompt.ids], prompt)[0]);
    const pieces = await collect({});
    expect(pieces.join("")).toBe(text);
    expect(pieces.length).toBe(12);
    const stop = text.slice(5, 7);
    expect((await collect({ stops: [stop] })).join("")).toBe(text.slice(0, text.indexOf(stop)));
  });

  test("an abort ends it between two tokens; it and leaving early free the memory", async () => {
    const start = opened.engine.bytesInUse;
    const stop = new AbortController();
    const reason = new Error("enough");
    const pieces: string[] = [];
    const run = async () => {
      for await (const piece of streamText(opened.model, prompt, { decode, signal: stop.signal })) {
        pieces.push(piece);
        if (pieces.length === 3) stop.abort(reason);
      }
    };
    expect(await run().catch((error) => error)).toBe(reason);
    expect(pieces.length).toBe(3);
    for await (const _ of streamText(opened.model, prompt, { decode })) break;
    expect(opened.engine.bytesInUse).toBe(start);
  });
});
