/** Who may use the playground's server, and what it gives to whom. */
import { describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { scratchFolder } from "../support/pico.ts";
import { openWorld } from "./world.ts";

const chat = { model: "aligned", messages: [{ role: "user", content: "add 3 and 4 ." }], temperature: 0 };

async function status(answer: Response | Promise<Response>): Promise<number> {
  return (await answer).status;
}

/** One request as it is written: fetch would tidy its path. */
async function raw(url: string, path: string): Promise<string> {
  const { port, host } = new URL(url);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(Number(port), "127.0.0.1", () =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
  );
  let text = "";
  socket.on("data", (part) => {
    text += part.toString("latin1");
  });
  socket.on("close", () => resolve(text)).on("error", reject);
  return promise;
}

describe("who may use it", () => {
  test("only names of this machine are taken in the Host header", async () => {
    await using world = await openWorld();
    const from = (host: string) => status(fetch(`${world.url}/`, { headers: { Host: host } }));
    for (const host of ["localhost", "127.0.0.1:80", "[::1]:9"]) expect(await from(host)).toBe(200);
    for (const host of ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"]) expect(await from(host)).toBe(403);
  });

  test("pages of other sites are refused, wherever they ask; links to the page are followed", async () => {
    await using world = await openWorld();
    const own = new URL(world.url).origin;
    const paths = ["/", "/main.js", "/api/scene", "/api/models/aligned/head", "/v1/models"];
    const from = (path: string, headers: Record<string, string>) => status(fetch(world.url + path, { headers }));
    for (const path of paths) {
      expect(await from(path, { Origin: own, "Sec-Fetch-Site": "same-origin" })).toBe(200);
      for (const origin of ["https://evil.example", "null", "http://localhost:1"])
        expect(await from(path, { Origin: origin })).toBe(403);
      for (const site of ["cross-site", "same-site"]) expect(await from(path, { "Sec-Fetch-Site": site })).toBe(403);
    }
    expect(await from("/", { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate" })).toBe(200);
  });

  test("a token is asked for where there is one, and becomes a cookie of this server's own pages", async () => {
    await using world = await openWorld({ token: "secret=word" });
    for (const path of ["/", "/main.js", "/api/scene", "/v1/models", "/api/models/aligned/tensor?name=x"])
      expect(await status(fetch(world.url + path))).toBe(401);
    expect(await status(fetch(`${world.url}/?token=wrong`, { redirect: "manual" }))).toBe(401);
    const opened = await fetch(`${world.url}/?token=secret%3Dword`, { redirect: "manual" });
    const cookie = opened.headers.get("set-cookie") ?? "";
    expect([opened.status, opened.headers.get("location")]).toEqual([303, "/"]);
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict$/);
    const bring = (value: string) => status(fetch(`${world.url}/api/scene`, { headers: { Cookie: value } }));
    expect(await bring(cookie.split(";")[0])).toBe(200);
    for (const value of ["safedelta=wrong", "other=secret%3Dword", "safedelta", "safedelta=%E0%A4%A"])
      expect(await bring(value)).toBe(401);
  });

  test("every answer, errors too, lets pages load from here alone", async () => {
    await using world = await openWorld();
    for (const path of ["/", "/main.js", "/api/scene", "/nothing", "/v1/nothing"]) {
      const { headers } = await fetch(world.url + path);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("connect-src 'self';");
      expect(policy).not.toMatch(/unsafe-inline|https?:/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });
});

describe("what it gives", () => {
  test("tensors and files by the names that the model has", async () => {
    await using world = await openWorld();
    const head = await (await fetch(`${world.url}/api/models/tuned/head`)).json();
    expect(head.companions).toContain("tokenizer.json");
    const { name, shape } = head.tensors[0];
    const tensor = await fetch(`${world.url}/api/models/tuned/tensor?name=${name}`);
    expect((await tensor.arrayBuffer()).byteLength).toBe(4 * shape.reduce((a: number, b: number) => a * b, 1));
    expect((await (await fetch(`${world.url}/api/models/tuned/file?name=config.json`)).json()).model_type).toBe(
      "llama",
    );
  });

  const outside = [
    "/../../../etc/passwd",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/package.json",
    "/src/index.ts",
    "/main.tsx",
    "/api/models/tuned/file?name=../aligned/config.json",
    "/api/models/tuned/file?name=%2e%2e%2faligned%2fconfig.json",
    "/api/models/tuned/file?name=/etc/passwd",
    "/api/models/tuned/file?name=model.safetensors",
    "/api/models/tuned/file?name=training.json",
    "/api/models/..%2f..%2fdemo/head",
    "/api/models/__proto__/head",
    "/api/models/tuned/tensor?name=__proto__",
    "/mlc/tuned/resolve/main/config.json",
    "/mlc/exported/resolve/main/..%2fsecret.txt",
    "/mlc/exported/resolve/main/%2fetc%2fpasswd",
    "/mlc/exported/resolve/main/other.txt",
    "/mlc/exported/resolve/main/",
  ];
  test("nothing else: no path leads out of what is shown", async () => {
    await using scratch = await scratchFolder();
    await Bun.write(join(scratch.path, "secret.txt"), "SECRET");
    const file = join(scratch.path, "exported", "params_shard_0.bin");
    await Bun.write(file, "weights");
    await symlink(join(scratch.path, "secret.txt"), join(scratch.path, "exported", "other.txt"));
    const files = new Map([["params_shard_0.bin", file]]);
    const exported = { name: "exported", role: "other", kind: "mlc", f32Bytes: 0, maxPositions: 64, files } as const;
    await using world = await openWorld({}, { models: [exported] });
    expect(await (await fetch(`${world.url}/mlc/exported/resolve/main/params_shard_0.bin`)).text()).toBe("weights");
    for (const path of outside) {
      const text = await raw(world.url, path);
      expect({ path, head: text.slice(0, 12) }).toEqual({ path, head: "HTTP/1.1 404" });
      expect(text).not.toMatch(/SECRET|root:|"hidden_size"/);
    }
    expect(await raw(world.url, "/mlc/exported/resolve/main/%E0%A4%A")).toStartWith("HTTP/1.1 400");
  });

  test("answers of models, and errors in words, under the API's own limits", async () => {
    await using world = await openWorld();
    const post = (body: string, type = "application/json") =>
      fetch(`${world.url}/v1/chat/completions`, { method: "POST", headers: { "Content-Type": type }, body });
    expect((await (await post(JSON.stringify(chat))).json()).choices[0].message.content).toBe("7");
    expect(await status(post(JSON.stringify(chat), "text/plain"))).toBe(415);
    expect(await status(post(" ".repeat(10_001)))).toBe(413);
    for (const [path, method] of [
      ["/", "POST"],
      ["/api/scene", "DELETE"],
      ["/api/safe", "PUT"],
    ])
      expect(await status(fetch(world.url + path, { method }))).toBe(405);
  });
});

describe("work that is watched", () => {
  test("is told when it has changed, until the reader leaves", async () => {
    let nLooks = 0;
    const progress = async () => {
      nLooks++;
      return [{ folder: "out", what: "repair", nDone: Math.floor(nLooks / 3), nAll: 9, state: "running" as const }];
    };
    await using world = await openWorld({}, { progress });
    const leaving = new AbortController();
    const response = await fetch(`${world.url}/api/progress`, { signal: leaving.signal });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const told: number[] = [];
    const decoder = new TextDecoder();
    for await (const part of response.body ?? []) {
      for (const [, data] of decoder.decode(part).matchAll(/^data: (.*)$/gm)) told.push(JSON.parse(data)[0].nDone);
      if (told.length >= 4) break;
    }
    leaving.abort();
    expect(told.slice(0, 4)).toEqual([0, 1, 2, 3]);
    await Bun.sleep(200);
    const seen = nLooks;
    await Bun.sleep(200);
    expect(nLooks).toBe(seen);
  });
});
