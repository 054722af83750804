/** What the server bounds and refuses, and that nothing is left of requests that have gone. */
import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { storm } from "./storm.ts";
import { eventually, openWorld } from "./world.ts";

const chat = { model: "tuned", messages: [{ role: "user", content: "say hello" }], temperature: 0 };
const long = { model: "tuned", prompt: "say", max_tokens: 60, temperature: 2, seed: 1, stop: [] };

interface Refused {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** Status and type of an error, which must have the form of OpenAI's and a message that says something. */
async function refusal(answer: Response | Promise<Response>): Promise<[status: number, type: string]> {
  const response = await answer;
  const { error } = (await response.json()) as Refused;
  expect(error.message.length).toBeGreaterThan(10);
  return [response.status, error.type];
}

async function cacheBytesOfToken(): Promise<number> {
  await using world = await openWorld();
  const { nLayers, nKvHeads, headDim } = world.models.get("tuned")?.model.config ?? expect.unreachable();
  return 4 * nLayers * 2 * nKvHeads * headDim;
}

describe("who may connect", () => {
  test("only names of this machine are taken in the Host header", async () => {
    await using world = await openWorld();
    const from = (host: string) => fetch(`${world.url}/v1/models`, { headers: { Host: host } });
    for (const host of ["localhost", "127.0.0.1:80", "[::1]:9", "LOCALHOST:1"])
      expect((await from(host)).status).toBe(200);
    for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:80"])
      expect(await refusal(from(host))).toEqual([403, "permission_error"]);
  });

  test("a token is demanded where there is one", async () => {
    await using world = await openWorld({ token: "secret word" });
    const bring = (value?: string) =>
      fetch(`${world.url}/v1/models`, { headers: value === undefined ? {} : { Authorization: value } });
    expect((await bring("Bearer secret word")).status).toBe(200);
    for (const value of [undefined, "Bearer ", "Bearer secret", "Basic secret word", "Bearer secret words"])
      expect(await refusal(bring(value))).toEqual([401, "authentication_error"]);
  });

  test("bodies that are not declared as JSON are refused, as a page of another site would send them", async () => {
    await using world = await openWorld();
    const send = (type: string) => world.post("/v1/chat/completions", chat, { headers: { "Content-Type": type } });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
      expect(await refusal(send(type))).toEqual([415, "invalid_request_error"]);
    expect((await send("application/json; charset=utf-8")).status).toBe(200);
  });
});

describe("requests that are none", () => {
  test("wrong paths, methods and bodies", async () => {
    await using world = await openWorld();
    const post = (body: unknown) => world.post("/v1/chat/completions", body);
    expect(await refusal(fetch(`${world.url}/v1/nothing`))).toEqual([404, "invalid_request_error"]);
    expect(await refusal(fetch(`${world.url}/v1/%E0%A4%A`))).toEqual([400, "invalid_request_error"]);
    expect(await refusal(fetch(`${world.url}/v1/completions`))).toEqual([405, "invalid_request_error"]);
    for (const body of ["", "{", "[]", "null", "3", "\u0000", "[".repeat(50_000)])
      expect(await refusal(post(body))).toEqual([400, "invalid_request_error"]);
    expect(
      await refusal(
        world.post("/v1/chat/completions", new Uint8Array([0x22, 0xff, 0x22]), {
          body: new Uint8Array([0x22, 0xff, 0x22]),
        }),
      ),
    ).toEqual([400, "invalid_request_error"]);
    expect((await post(chat)).status).toBe(200);
  });

  test("a body that is too large, announced or not", async () => {
    await using world = await openWorld({ mostBodyBytes: 1000 });
    const large = { ...chat, messages: [{ role: "user", content: "x".repeat(2000) }] };
    expect(await refusal(world.post("/v1/chat/completions", large))).toEqual([413, "invalid_request_error"]);
    const endless = connect(Number(new URL(world.url).port), "127.0.0.1");
    const head = "Host: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
    endless.write(`POST /v1/completions HTTP/1.1\r\n${head}\r\n\r\n`);
    for (let i = 0; i < 3; i++) endless.write(`1f4\r\n${" ".repeat(500)}\r\n`);
    const [told] = await once(endless, "data");
    expect(String(told)).toStartWith("HTTP/1.1 413");
    endless.destroy();
    expect((await world.post("/v1/chat/completions", chat)).status).toBe(200);
  });

  test("token ids that the model does not know, and an empty prompt", async () => {
    await using world = await openWorld();
    for (const prompt of [[1, 2_000_000], [], [[]]])
      expect(await refusal(world.post("/v1/completions", { ...long, prompt }))).toEqual([400, "invalid_request_error"]);
  });
});

describe("limits", () => {
  test("a full queue refuses with 429 and when to come again; afterwards all is well", async () => {
    await using world = await openWorld({ mostJobs: 3, nTogether: 1 });
    const first = await world.post("/v1/completions", { ...long, n: 3, stream: true });
    expect(first.status).toBe(200);
    const second = await world.post("/v1/completions", long);
    expect(second.headers.get("Retry-After")).toBe("1");
    expect(await refusal(second)).toEqual([429, "rate_limit_error"]);
    expect(await first.text()).toEndWith("data: [DONE]\n\n");
    expect((await world.post("/v1/completions", long)).status).toBe(200);
  });

  test("answers wait for their turn and for room in the cache; what never finds room is refused", async () => {
    const nTokens = 24;
    await using world = await openWorld({ nTogether: 4, cacheBytes: nTokens * (await cacheBytesOfToken()) });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => world.post("/v1/chat/completions", { ...chat, max_tokens: 12 })),
    );
    const texts = await Promise.all(answers.map(async (one) => JSON.stringify((await one.json()).choices)));
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]).toContain("hello");
    const large = await world.post("/v1/chat/completions", { ...chat, max_tokens: nTokens });
    expect(await refusal(large)).toEqual([400, "invalid_request_error"]);
  });

  test("a request that takes too long is ended, streamed or not", async () => {
    await using world = await openWorld({ mostSeconds: 0.05, nTogether: 1, mostJobs: 100 });
    const whole = await world.post("/v1/completions", { ...long, n: 50 });
    expect(whole.headers.get("x-should-retry")).toBe("false");
    expect(await refusal(whole)).toEqual([503, "server_error"]);
    const streamed = await (await world.post("/v1/completions", { ...long, n: 50, stream: true })).text();
    expect(streamed).toContain('"code":"timeout"');
    expect(streamed).not.toContain("[DONE]");
    await eventually(() => world.client.nOpen === 0);
  });

  test("stopping ends what is under way with an error and closes the port", async () => {
    await using world = await openWorld({ nTogether: 1, mostJobs: 100 });
    const streamed = await world.post("/v1/completions", { ...long, n: 50, stream: true });
    const whole = world.post("/v1/completions", { ...long, n: 20 });
    await eventually(() => world.client.nOpen > 50);
    const stopped = world.server.stop();
    expect(await streamed.text()).toContain("stopping");
    expect((await whole).status).toBe(503);
    await stopped;
    expect(await world.post("/v1/completions", long).catch(() => "refused")).toBe("refused");
    await eventually(() => world.client.nOpen === 0);
  });

  test("when the host is gone, requests under way and new ones are told", async () => {
    await using world = await openWorld({ nTogether: 1, mostJobs: 100 });
    const streamed = await world.post("/v1/completions", { ...long, n: 50, stream: true });
    world.client.fail(new Error("the worker has ended"));
    expect(await streamed.text()).toContain("the worker has ended");
    expect(await refusal(world.post("/v1/completions", long))).toEqual([503, "server_error"]);
  });
});

describe("clients that go away", () => {
  test("in the middle of a request, before its body has come, while they wait, while they read", async () => {
    await using world = await openWorld({ nTogether: 1, mostJobs: 100 });
    const { port } = new URL(world.url);
    const half = connect(Number(port), "127.0.0.1");
    half.write(
      "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    );
    await Bun.sleep(20);
    half.destroy();
    const stop = new AbortController();
    const asked = [
      { ...long, n: 30 },
      { ...long, n: 30, stream: true },
    ].map((body) => world.post("/v1/completions", body, { signal: stop.signal }).catch(() => undefined));
    await eventually(() => world.client.nOpen > 30);
    stop.abort();
    await Promise.all(asked);
    await eventually(() => world.client.nOpen === 0);
    expect((await world.post("/v1/chat/completions", chat)).status).toBe(200);
  });

  test("a storm of requests with random disconnects leaves nothing behind", async () => {
    await using world = await openWorld({ mostJobs: 64 });
    const { model } = world.models.get("tuned") ?? expect.unreachable();
    const start = model.engine.bytesInUse;
    const { finished, left } = await storm(world.url, { requests: 300, together: 12, seed: 5 });
    expect(finished + left).toBe(300);
    expect(Math.min(finished, left)).toBeGreaterThan(50);
    await eventually(() => world.client.nOpen === 0);
    expect(model.engine.bytesInUse).toBe(start);
    expect((await world.post("/v1/chat/completions", chat)).status).toBe(200);
  });
});
