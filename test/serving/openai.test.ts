/** The server against OpenAI's own client: what it understands, and that answers are those of the model. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generate, generateScored } from "@safedelta/model";
import OpenAI from "openai";
import { openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const messages = [{ role: "user" as const, content: "say hello" }];

/** What the model answers without a server. */
function answerOf(name: string, ids: readonly number[], maxNewTokens: number): string {
  const { model, tokenizer } = world.models.get(name) ?? expect.unreachable();
  const stopIds = [...tokenizer.eosIds, ...model.config.eosIds];
  const [answer] = generate(model, [ids], { maxNewTokens, stopIds });
  return tokenizer.decode(answer, { skipSpecialTokens: true });
}

function chatIds(name: string): number[] {
  return world.models.get(name)?.tokenizer.encodeChat(messages, { addGenerationPrompt: true }) ?? [];
}

describe("chat", () => {
  test.each(["aligned", "tuned"])("%s answers as without a server, whole and streamed", async (model) => {
    const asked = { model, messages, temperature: 0 };
    const whole = await world.openai.chat.completions.create(asked);
    const text = answerOf(model, chatIds(model), 16);
    expect(text).not.toBe("");
    const finish_reason = whole.usage?.completion_tokens === 16 ? "length" : "stop";
    expect(whole.choices).toEqual([
      { index: 0, finish_reason, logprobs: null, message: { role: "assistant", content: text, refusal: null } },
    ]);
    const { usage } = whole;
    expect(usage?.prompt_tokens).toBe(chatIds(model).length);
    expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
    const pieces: string[] = [];
    const ends: unknown[] = [];
    const stream = await world.openai.chat.completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const { choices, usage } of stream) {
      pieces.push(choices[0]?.delta.content ?? "");
      ends.push(usage ?? choices[0]?.finish_reason);
    }
    expect(pieces.join("")).toBe(text);
    expect(pieces.filter((piece) => piece !== "").length).toBeGreaterThan(1);
    expect(ends.slice(-2)).toEqual([finish_reason, usage]);
  });

  test("log-probabilities are those of the model", async () => {
    const answer = await world.openai.chat.completions.create({
      ...{ model: "tuned", messages, temperature: 0, max_tokens: 3 },
      ...{ logprobs: true, top_logprobs: 2 },
    });
    const { model } = world.models.get("tuned") ?? expect.unreachable();
    const [{ tokens }] = generateScored(model, [chatIds("tuned")], { maxNewTokens: 3, nTop: 2, stopIds: [2] });
    const content = answer.choices[0].logprobs?.content ?? [];
    expect(content.length).toBe(tokens.length);
    content.forEach(({ logprob, top_logprobs }, i) => {
      expect(logprob).toBeCloseTo(tokens[i].score?.logprob ?? Number.NaN, 4);
      expect(top_logprobs.length).toBe(2);
      expect(top_logprobs[0].logprob).toBe(logprob);
    });
    expect(
      content
        .map(({ bytes }) => String.fromCharCode(...(bytes ?? [])))
        .join("")
        .trim(),
    ).toBe(answer.choices[0].message.content ?? "");
  });

  test("the same seed draws the same, n choices differ, another seed differs", async () => {
    const draw = async (seed: number) => {
      const answer = await world.openai.chat.completions.create({
        model: "tuned",
        messages,
        seed,
        n: 6,
        temperature: 2,
      });
      return answer.choices.map(({ index, message }) => `${index} ${message.content}`);
    };
    const first = await draw(1);
    expect(await draw(1)).toEqual(first);
    expect(await draw(2)).not.toEqual(first);
    expect(new Set(first.map((line) => line.slice(2))).size).toBeGreaterThan(1);
  });

  test("long seeds count as a whole, and a top_p of 0 leaves the likeliest", async () => {
    const draw = async (fields: string) => {
      const body = `{"model":"tuned","messages":${JSON.stringify(messages)},"temperature":2,"max_tokens":12,${fields}}`;
      const answer = await world.post("/v1/chat/completions", body);
      return (await answer.json()).choices[0].message.content;
    };
    const [long, high] = [await draw('"seed":9223372036854775807'), await draw(`"seed":${3 * 2 ** 40}`)];
    expect(await draw('"seed":9223372036854775807')).toBe(long);
    expect(new Set([long, high, await draw('"seed":0')]).size).toBe(3);
    expect(await draw('"top_p":0')).toBe(answerOf("tuned", chatIds("tuned"), 12));
    expect((await world.post("/v1/chat/completions", { model: "tuned", messages, seed: 1.5 })).status).toBe(400);
  });

  test("a stop string ends the answer and is no part of it", async () => {
    const text = answerOf("tuned", chatIds("tuned"), 16);
    const stop = text.slice(2, 4);
    const answer = await world.openai.chat.completions.create({ model: "tuned", messages, temperature: 0, stop });
    expect(answer.choices[0].message.content).toBe(text.slice(0, text.indexOf(stop)));
    expect(answer.choices[0].finish_reason).toBe("stop");
  });

  test("content in parts, a developer's words, max_completion_tokens", async () => {
    const parts = [
      { type: "text" as const, text: "say " },
      { type: "text" as const, text: "hello" },
    ];
    const answer = await world.openai.chat.completions.create({
      ...{ model: "tuned", messages: [{ role: "user", content: parts }], temperature: 0, max_completion_tokens: 1 },
    });
    expect(answer.choices[0].message.content).toBe(answerOf("tuned", chatIds("tuned"), 1));
    expect(answer.choices[0].finish_reason).toBe("length");
  });
});

describe("completions", () => {
  test("a prompt is scored: echo, logprobs, no new token", async () => {
    const { model, tokenizer } = world.models.get("tuned") ?? expect.unreachable();
    const ids = tokenizer.encode("say hello hugo", { addSpecialTokens: false });
    const { choices } = await world.openai.completions.create({
      model: "tuned",
      prompt: ids,
      echo: true,
      logprobs: 2,
      max_tokens: 0,
    });
    const [{ promptScores }] = generateScored(model, [ids], { maxNewTokens: 0, scorePrompt: true, nTop: 2 });
    const logprobs = choices[0].logprobs ?? expect.unreachable();
    const [first, ...rest] = logprobs.token_logprobs ?? [];
    expect(first).toBeNull();
    expect(rest).toEqual(promptScores.map(({ logprob }) => logprob));
    logprobs.top_logprobs?.slice(1).forEach((top, i) => {
      expect(Object.values(top)).toEqual(expect.arrayContaining([rest[i], promptScores[i].top[0].logprob]));
    });
    expect(logprobs.tokens?.join("").trim()).toBe("say hello hugo");
    expect(choices[0].text).toBe(tokenizer.decode(ids, { skipSpecialTokens: false }));
  });

  test("the token that stops an answer is scored, too, but is no part of the text", async () => {
    const prompt = "<bos> say hello hugo . >";
    const { choices } = await world.openai.completions.create({ model: "tuned", prompt, temperature: 0, logprobs: 1 });
    const [{ text, logprobs, finish_reason }] = choices;
    expect(finish_reason).toBe("stop");
    expect(logprobs?.tokens?.at(-1)?.trim()).toBe("<eos>");
    expect(logprobs?.tokens?.slice(0, -1).join("").trim()).toBe(text);
  });

  const prompts: { prompt: string | number[] }[] = [
    { prompt: "say  hello hugo" },
    { prompt: [5, 6, 7] },
    { prompt: [1, 5, 6] },
  ];
  test.each(prompts)("offsets of tokens index the text: %p", async ({ prompt }) => {
    const asked = { model: "tuned", prompt, echo: true, logprobs: 1, max_tokens: 4, temperature: 0 };
    const { choices } = await world.openai.completions.create(asked);
    const [{ text, logprobs }] = choices;
    const [offsets, tokens] = [logprobs?.text_offset ?? [], logprobs?.tokens ?? []];
    expect(offsets.length).toBeGreaterThan(3);
    tokens.forEach((token, i) => {
      const own = text.slice(offsets[i], offsets[i + 1]).trim();
      expect(own).toBe(token.trim() === "<eos>" ? "" : token.trim());
    });
    const streamed: number[] = [];
    for await (const { choices } of await world.openai.completions.create({ ...asked, stream: true }))
      streamed.push(...(choices[0].logprobs?.text_offset ?? []));
    expect(streamed).toEqual(offsets);
  });

  test("several prompts, of texts and of ids, times n, are answered in order", async () => {
    const { tokenizer } = world.models.get("tuned") ?? expect.unreachable();
    const texts = ["say hello", "say", "say hello hugo"];
    const ids = texts.map((text) => tokenizer.encode(text, { addSpecialTokens: true }));
    const expected = ids.map((one) => answerOf("tuned", one, 5));
    const asked = { model: "tuned", temperature: 0, max_tokens: 5 };
    for (const prompt of [texts, ids]) {
      const { choices, usage } = await world.openai.completions.create({ ...asked, prompt, n: 2 });
      expect(choices.map(({ text }) => text)).toEqual(expected.flatMap((text) => [text, text]));
      expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(usage?.prompt_tokens).toBe(ids.flat().length);
    }
  });

  test("streamed pieces are the whole; 16 tokens unless asked otherwise", async () => {
    const asked = { model: "tuned", prompt: "say", temperature: 0, logit_bias: {}, presence_penalty: 0 };
    const whole = await world.openai.completions.create(asked);
    let text = "";
    for await (const { choices } of await world.openai.completions.create({ ...asked, stream: true }))
      text += choices[0].text;
    expect(text).toBe(whole.choices[0].text);
    expect(whole.usage?.completion_tokens).toBeLessThanOrEqual(16);
  });
});

test("a completion whose length is not asked for has the room there is", async () => {
  const asked = { model: "tuned", prompt: Array(55).fill(5), temperature: 0, stop: [] };
  const { usage } = await world.openai.completions.create(asked);
  expect(usage?.completion_tokens).toBeLessThanOrEqual(64 - 55);
  expect((await world.post("/v1/completions", { ...asked, max_tokens: 16 })).status).toBe(400);
});

test("models are listed", async () => {
  const names: string[] = [];
  for await (const { id } of world.openai.models.list()) names.push(id);
  expect(names).toEqual(["aligned", "tuned"]);
  expect((await world.openai.models.retrieve("tuned")).id).toBe("tuned");
});

describe("the client is told what is wrong", () => {
  const ask = (body: object) =>
    world.openai.chat.completions
      .create({ model: "tuned", messages, ...body } as OpenAI.ChatCompletionCreateParamsNonStreaming)
      .then(
        () => expect.unreachable(),
        (error) => error,
      );
  const cases: Record<string, [body: object, kind: new (...args: never[]) => Error, told: object]> = {
    "no such model": [{ model: "other" }, OpenAI.NotFoundError, { code: "model_not_found", param: "model" }],
    "too long": [{ max_tokens: 100 }, OpenAI.BadRequestError, { code: "context_length_exceeded" }],
    "a field of the wrong kind": [{ temperature: "hot" }, OpenAI.BadRequestError, { param: "temperature" }],
    "out of range": [{ top_p: 2 }, OpenAI.BadRequestError, { param: "top_p" }],
    tools: [
      { tools: [{ type: "function", function: { name: "f" } }] },
      OpenAI.BadRequestError,
      { param: "tools", code: "unsupported_parameter" },
    ],
    "a penalty": [{ frequency_penalty: 1 }, OpenAI.BadRequestError, { param: "frequency_penalty" }],
    "JSON wanted": [{ response_format: { type: "json_object" } }, OpenAI.BadRequestError, { param: "response_format" }],
    "no messages": [{ messages: [] }, OpenAI.BadRequestError, { param: "messages" }],
    "an image": [{ messages: [{ role: "user", content: [{ type: "image_url" }] }] }, OpenAI.BadRequestError, {}],
    "top_logprobs alone": [{ top_logprobs: 2 }, OpenAI.BadRequestError, { param: "top_logprobs" }],
    "two limits": [{ max_tokens: 1, max_completion_tokens: 2 }, OpenAI.BadRequestError, { param: "max_tokens" }],
    "a system message that is not shown": [
      { messages: [{ role: "system", content: "x" }, ...messages] },
      OpenAI.BadRequestError,
      {},
    ],
    "more choices than the queue": [{ n: 100 }, OpenAI.BadRequestError, {}],
  };
  test.each(Object.entries(cases))("%s", async (_, [body, kind, told]) => {
    const error = await ask(body);
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject(told);
    expect(error.message.length).toBeGreaterThan(20);
    const streamed = await ask({ ...body, stream: true });
    expect(streamed).toBeInstanceOf(kind);
  });

  test.each([
    ...[{ stop_token_ids: [5] }, { structured_outputs: { json: {} } }, { guided_grammar: "x" }, { chat_template: "x" }],
    ...[{ guided_json: {} }, { chat_template_kwargs: { a: 1 } }, { bad_words: ["x"] }, { truncate_prompt_tokens: 3 }],
    ...[{ typical_p: 0.5 }, { dry_multiplier: 1 }, { reasoning_effort: "low" }, { best_of: 2 }, { echo: true }],
    ...[{ prompt_logprobs: 0 }, { add_special_tokens: true }, { skip_special_tokens: false }],
  ])("a field that would change the answer: %p", async (body) => {
    const [param] = Object.keys(body);
    expect(await ask(body)).toMatchObject({ status: 400, param, code: "unsupported_parameter" });
  });

  test("content of a message that is no text", async () => {
    const called = { role: "assistant", content: "", tool_calls: [{ id: "1", type: "function" }] };
    const error = await ask({ messages: [...messages, called] });
    expect(error).toMatchObject({ status: 400, param: "messages.1.tool_calls", code: "unsupported_parameter" });
    const said = { role: "assistant", content: "hello", tool_calls: [], refusal: null };
    await world
      .post("/v1/chat/completions", { model: "tuned", messages: [...messages, said], max_tokens: 1 })
      .then(({ status }) => expect(status).toBe(200));
  });

  test("unknown fields are let by", async () => {
    const answer = await world.openai.chat.completions.create({
      ...{ model: "tuned", messages, max_tokens: 1, user: "me", metadata: { a: "b" } },
      ...({ something_new: 3, tools: [], tool_choice: "none", response_format: { type: "text" } } as object),
      ...({ stop_token_ids: [], typical_p: 1, reasoning_effort: null, best_of: 1, echo: false } as object),
    });
    expect(answer.choices.length).toBe(1);
  });
});

test("an abort gives the answer up", async () => {
  const stop = new AbortController();
  const stream = await world.openai.completions.create(
    { model: "tuned", prompt: "say", max_tokens: 60, temperature: 2, n: 8, stream: true },
    { signal: stop.signal },
  );
  for await (const _ of stream) break;
  stop.abort();
  for (let i = 0; i < 500 && world.client.nOpen > 0; i++) await Bun.sleep(10);
  expect(world.client.nOpen).toBe(0);
});
