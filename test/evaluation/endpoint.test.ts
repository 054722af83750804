import { describe, expect, test } from "bun:test";
import { EndpointError, type EndpointOptions, endpointChat } from "@safedelta/evaluation";
import { startPeer } from "./peer.ts";

const ask = (content: string) => [{ role: "user", content }];
const kindOf = async (options: Omit<EndpointOptions, "model">) => {
  const chat = endpointChat({ model: "m", nRetries: 0, waitMs: 1, ...options });
  const error = await chat.answer([ask("a")], { maxNewTokens: 1 }).catch((found: unknown) => found);
  expect(error).toBeInstanceOf(EndpointError);
  return (error as EndpointError).kind;
};

describe("endpointChat", () => {
  test("answers in the order of the prompts, greedy, with the key", async () => {
    using peer = startPeer((last) => `to ${last}`);
    const chat = endpointChat({ url: `${peer.url}/`, model: "m", apiKey: "k", nTogether: 2 });
    const prompts = ["a", "b", "c", "d", "e"].map(ask);
    expect(await chat.answer(prompts, { maxNewTokens: 9 })).toEqual(["to a", "to b", "to c", "to d", "to e"]);
    expect(peer.asked[0].authorization).toBe("Bearer k");
    expect(peer.asked[0].body).toMatchObject({ model: "m", max_tokens: 9, temperature: 0 });
  });

  test("a busy server is asked again, as often as allowed", async () => {
    using peer = startPeer((_, nth) => (nth < 3 ? new Response("wait", { status: 429 }) : "done"));
    const chat = (nRetries: number) => endpointChat({ url: peer.url, model: "m", nRetries, waitMs: 1 });
    await expect(chat(1).answer([ask("a")], { maxNewTokens: 1 })).rejects.toThrow("status 429");
    expect(peer.asked).toHaveLength(2);
    expect(await chat(1).answer([ask("a")], { maxNewTokens: 1 })).toEqual(["done"]);
  });

  test("what will not pass is not tried again", async () => {
    using peer = startPeer(() => new Response("no such model", { status: 404 }));
    expect(await kindOf({ url: peer.url, nRetries: 3 })).toBe("refused");
    expect(peer.asked).toHaveLength(1);
  });

  test.each([
    ['{"error":{"message":"System role\\nnot supported","code":500}}', "System role not supported"],
    ['{"error":"model \\"m\\" not found"}', 'model "m" not found'],
    ['{"object":"error","message":"too long","code":400}', "too long"],
    ['{"detail":"Not Found"}', "Not Found"],
    ["<h1>Bad\n gateway</h1>", "<h1>Bad gateway</h1>"],
    ['{"detail":[{"loc":["body"]}]}', '{"detail":[{"loc":["body"]}]}'],
    ["null", "null"],
    ["", "(an empty answer)"],
    ["x".repeat(400), `${"x".repeat(300)}…`],
  ])("of %p it is told %p", async (body, told) => {
    using peer = startPeer(() => new Response(body, { status: 400 }));
    const asked = endpointChat({ url: peer.url, model: "m" }).answer([ask("a")], { maxNewTokens: 1 });
    await expect(asked).rejects.toThrow(new Error(`${peer.url}/chat/completions (m): status 400: ${told}`));
  });

  test.each([
    [401, "(is the key in OPENAI_API_KEY right?)"],
    [404, "(are the URL, with /v1 where the server has it, and the model's name right?)"],
  ])("of status %p it is told what to look at", async (status, advice) => {
    using peer = startPeer(() => new Response("no", { status }));
    const asked = endpointChat({ url: peer.url, model: "m" }).answer([ask("a")], { maxNewTokens: 1 });
    await expect(asked).rejects.toThrow(`status ${status}: no ${advice}`);
  });

  test("every failure has its kind", async () => {
    using broken = startPeer(() => new Response("{}"));
    using slow = startPeer(() => Bun.sleep(2000).then(() => new Response("late")));
    using down = startPeer(() => new Response("", { status: 503 }));
    expect(await kindOf({ url: broken.url })).toBe("malformed");
    expect(await kindOf({ url: slow.url, timeoutMs: 50 })).toBe("timeout");
    expect(await kindOf({ url: down.url })).toBe("busy");
    expect(await kindOf({ url: "http://127.0.0.1:1/v1" })).toBe("unreachable");
    const away = endpointChat({ url: "http://127.0.0.1:1/v1", model: "m", nRetries: 0 });
    await expect(away.answer([ask("a")], { maxNewTokens: 1 })).rejects.toThrow(
      "(m): cannot be reached (ECONNREFUSED). Is the server running, and the URL right?",
    );
  });
});
