/** The side that computes: how often prompts are made into tokens, what is heard meanwhile, and whom an error meets. */

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openEngine } from "@safedelta/engine";
import { openModel } from "@safedelta/model";
import { openModelFiles, openModelTokenizer, silent } from "@safedelta/pipeline";
import {
  type FromHost,
  type HostLimits,
  type Job,
  type JobEvent,
  ModelHost,
  type ServedModel,
} from "@safedelta/serving";
import type { Tokenizer } from "@safedelta/tokenizer";
import { scratchFolder, tinyFolder, writePico } from "../support/pico.ts";
import { eventually } from "./world.ts";

/** Embedding of this token is no number in the model of `openHost`. */
const damaged = 90;

interface Listening extends AsyncDisposable {
  readonly host: ModelHost;
  readonly served: ServedModel;
  /** Texts that were made into tokens. */
  readonly encoded: string[];
  eventsOf(id: number): readonly JobEvent[];
  ended(...ids: number[]): Promise<void>;
}

/** A host of one pico model; `change` replaces parts of its tokenizer. */
async function openHost(limits: Partial<HostLimits> = {}, change: Partial<Tokenizer> = {}): Promise<Listening> {
  await using owned = new AsyncDisposableStack();
  const folder = owned.use(await scratchFolder());
  await writePico(folder.path, { seed: 3, config: { tie_word_embeddings: false } });
  const { engine } = await openEngine("wasm");
  owned.use(engine);
  const files = owned.use(await openModelFiles(folder.path, true, silent));
  const model = owned.use(await openModel(engine, files.checkpoint));
  engine.fill(model.embedding.view(damaged, 0, 1, model.config.hiddenSize), Number.NaN);
  const real = await openModelTokenizer(files);
  const encoded: string[] = [];
  const counting = (text: string, options: { readonly addSpecialTokens: boolean }) => {
    encoded.push(text);
    return real.encode(text, options);
  };
  const tokenizer: Tokenizer = { ...real, encode: counting, ...change };
  const heard: FromHost[] = [];
  const all = { nTogether: 4, cacheBytes: 1e8, nDefaultTokens: 8, ...limits };
  const host = owned.use(new ModelHost(new Map([["pico", { model, tokenizer }]]), all, (one) => heard.push(one)));
  const eventsOf = (id: number) => heard.filter((one) => one.id === id).map(({ event }) => event);
  const isOver = (id: number) => ["ended", "refused"].includes(eventsOf(id).at(-1)?.kind ?? "");
  const held = owned.move();
  return {
    ...{
      host,
      served: { model, tokenizer },
      encoded,
      eventsOf,
      ended: (...ids) => eventually(() => ids.every(isOver)),
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const say: Job = {
  ...{ model: "pico", input: { kind: "text", text: "say hello" }, maxNewTokens: 4, stops: [] },
  ...{ seed: 1, stream: 0, temperature: 1, scoreStop: false, echo: false },
};

function start(host: ModelHost, firstId: number, jobs: readonly Job[]): void {
  host.receive(structuredClone({ kind: "start", ids: jobs.map((_, i) => firstId + i), jobs }));
}

test("a model that comes later leaves answers under way alone, and answers", async () => {
  await using world = await openHost();
  start(world.host, 0, [{ ...say, maxNewTokens: 20 }]);
  await eventually(() => world.eventsOf(0).some(({ kind }) => kind === "started"));
  world.host.add("late", world.served);
  start(world.host, 1, [{ ...say, model: "late", maxNewTokens: 20 }]);
  await world.ended(0, 1);
  expect(world.eventsOf(0).at(-1)?.kind).toBe("ended");
  expect(world.eventsOf(1)).toEqual(world.eventsOf(0));
});

describe("prompts become tokens", () => {
  test("once for all choices, and not again while they wait for room", async () => {
    await using world = await openHost({ nTogether: 2 });
    start(
      world.host,
      0,
      Array.from({ length: 7 }, (_, stream) => ({ ...say, stream })),
    );
    await world.ended(0, 1, 2, 3, 4, 5, 6);
    expect(world.eventsOf(6)[0]).toEqual({ kind: "started", nPromptTokens: 2 });
    expect(world.encoded).toEqual(["say hello"]);
  });

  test("not while the one before waits for room", async () => {
    await using world = await openHost({ nTogether: 1 });
    start(world.host, 0, [say]);
    start(world.host, 1, [{ ...say, input: { kind: "text", text: "hello hello" } }]);
    start(world.host, 2, [{ ...say, input: { kind: "text", text: "say say" } }]);
    await world.ended(0, 1, 2);
    expect(world.encoded).toEqual(["say hello", "hello hello", "say say"]);
  });

  test("a text that cannot have room is refused by its length, without its tokens", async () => {
    await using world = await openHost({}, { leastTokens: (text) => text.length / 9 });
    start(world.host, 0, [{ ...say, input: { kind: "text", text: "say hello".repeat(70) } }, say]);
    await world.ended(0, 1);
    expect(world.eventsOf(0)).toEqual([
      { kind: "refused", refusal: { kind: "tooLong", message: expect.stringContaining("at least 70 tokens") } },
    ]);
    expect(world.encoded).toEqual(["say hello"]);
  });

  test("a cancel is heard between two long prompts", async () => {
    await using world = await openHost();
    const long = (word: string): Job => ({ ...say, input: { kind: "text", text: `${word} `.repeat(3000) } });
    setImmediate(() => [1, 2].map((id) => world.host.receive({ kind: "cancel", id })));
    start(world.host, 0, [long("say"), long("hello"), long("hugo")]);
    start(world.host, 3, [say]);
    await world.ended(0, 3);
    expect(world.encoded.map((text) => text.slice(0, 9))).toEqual(["say say s", "say hello"]);
    expect(world.eventsOf(1)).toEqual([]);
  });
});

test("an answer whose length is not asked for has the job's default, else the host's, within the room", async () => {
  await using world = await openHost();
  const open: Job = { ...say, maxNewTokens: undefined };
  const ids = Array.from({ length: 62 }, () => 5);
  start(world.host, 0, [open, { ...open, nDefaultTokens: 3 }, { ...open, input: { kind: "ids", ids } }]);
  await world.ended(0, 1, 2);
  const counts = [0, 1, 2].map((id) => world.eventsOf(id).at(-1));
  expect(counts).toEqual([8, 3, 2].map((nNewTokens) => ({ kind: "ended", finish: "length", nNewTokens })));
});

describe("an error meets only the answer that has it", () => {
  test("logits that are no numbers", async () => {
    await using world = await openHost();
    const bad: Job = { ...say, input: { kind: "ids", ids: [5, damaged] } };
    start(world.host, 0, [say, bad, { ...say, stream: 1 }]);
    await world.ended(0, 1, 2);
    expect(world.eventsOf(1).at(-1)).toMatchObject({ kind: "refused", refusal: { kind: "failed" } });
    await using alone = await openHost();
    start(alone.host, 0, [say, { ...say, stream: 1 }]);
    await alone.ended(0, 1);
    expect(world.eventsOf(0)).toEqual(alone.eventsOf(0));
    expect(world.eventsOf(2)).toEqual(alone.eventsOf(1));
  });

  test("a text that cannot be told", async () => {
    const told: Partial<Tokenizer> = {
      decode: (ids, { skipSpecialTokens }) => {
        if (!skipSpecialTokens) throw new Error("no text of it");
        return `${ids}`;
      },
    };
    await using world = await openHost({}, told);
    start(world.host, 0, [say, { ...say, echo: true, input: { kind: "ids", ids: [5] } }]);
    await world.ended(0, 1);
    expect(world.eventsOf(0).at(-1)?.kind).toBe("ended");
    expect(world.eventsOf(1).at(-1)).toEqual({
      ...{ kind: "refused", refusal: { kind: "failed", message: "no text of it" } },
    });
  });
});

test("the scores of a prompt are told as they come, and a token's text is made once", async () => {
  const made: string[] = [];
  const real = await tokenizerOf();
  const decode: Tokenizer["decode"] = (ids, options) => {
    if (!options.skipSpecialTokens) made.push(`${ids}`);
    return real.decode(ids, options);
  };
  await using world = await openHost({}, { decode });
  const ids = Array.from({ length: 60 }, (_, i) => 5 + (i % 3));
  start(world.host, 0, [{ ...say, input: { kind: "ids", ids }, echo: true, nTop: 20, maxNewTokens: 0 }]);
  await world.ended(0);
  const texts = world.eventsOf(0).filter((one) => one.kind === "text");
  expect(texts.length).toBeGreaterThan(1);
  expect(texts.flatMap(({ tokens }) => tokens).length).toBe(60);
  expect(texts.map(({ text }) => text).join("")).toBe(real.decode(ids, { skipSpecialTokens: false }));
  expect(new Set(made).size).toBe(made.length);
});

test("a token after parts of characters has its place in the text", async () => {
  const bytes = new TextEncoder().encode("aé漢b");
  const decode: Tokenizer["decode"] = (ids) => new TextDecoder().decode(Uint8Array.from(ids, (id) => bytes[id - 10]));
  await using world = await openHost({}, { decode });
  const ids = Array.from(bytes, (_, i) => 10 + i);
  start(world.host, 0, [{ ...say, input: { kind: "ids", ids }, echo: true, nTop: 0, maxNewTokens: 0 }]);
  await world.ended(0);
  const offsets = world
    .eventsOf(0)
    .flatMap((one) => (one.kind === "text" ? one.tokens.map(({ offset }) => offset) : []));
  expect(offsets).toEqual([0, 1, 1, 1, 1, 1, 3]);
});

async function tokenizerOf(): Promise<Tokenizer> {
  await using files = await openModelFiles(join(tinyFolder, "tuned"), true, silent);
  return openModelTokenizer(files);
}
