/** Clients that do not read and hosts that say nothing: a host of which the test is the voice. */
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import {
  type ApiServer,
  HostClient,
  type JobEvent,
  type ScoredText,
  type ServerOptions,
  serveApi,
  type ToHost,
} from "@safedelta/serving";
import { eventually } from "./world.ts";

interface Voice extends AsyncDisposable {
  readonly server: ApiServer;
  readonly client: HostClient;
  readonly sent: readonly ToHost[];
  /** Ids of the jobs that were started, and of those cancelled. */
  started(): number[];
  cancelled(): number[];
  say(id: number, event: JobEvent): void;
}

function openVoice(options: Partial<ServerOptions> = {}): Voice {
  const sent: ToHost[] = [];
  const client = new HostClient((message) => sent.push(message), 8);
  const limits = { mostBodyBytes: 1e5, mostSeconds: 60, idleSeconds: 30, quietSeconds: 2 };
  const server = serveApi(client, { host: "127.0.0.1", port: 0, models: ["m"], ...limits, ...options });
  return {
    ...{ server, client, sent },
    started: () => sent.flatMap((one) => (one.kind === "start" ? one.ids : [])),
    cancelled: () => sent.flatMap((one) => (one.kind === "cancel" ? [one.id] : [])),
    say: (id, event) => client.receive({ id, event }),
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

const asked = { model: "m", prompt: "x", stream: true };

function post({ server }: Voice, body: object, init: RequestInit = {}): Promise<Response> {
  const headers = { "Content-Type": "application/json" };
  return fetch(`${server.url}/v1/completions`, { method: "POST", headers, body: JSON.stringify(body), ...init });
}

/** A connection of its own that has asked, and reads only when told to. */
function rawPost({ server }: Voice, body: object): Socket {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  const text = JSON.stringify(body);
  const head = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}`;
  socket.pause();
  socket.on("error", () => {});
  socket.write(`POST /v1/completions HTTP/1.1\r\n${head}\r\n\r\n${text}`);
  return socket;
}

const token: ScoredText = { text: "x", logprob: -1, offset: 0, top: [] };
const text = (length: number): JobEvent => ({ kind: "text", text: "x".repeat(length), tokens: [] });
const scored = (count: number): JobEvent => ({ kind: "text", text: "", tokens: Array(count).fill(token) });

/** Fill what lies between the server and a client that does not read. */
async function clog(voice: Voice): Promise<Socket> {
  const socket = rawPost(voice, { ...asked, n: 2 });
  await eventually(() => voice.started().length === 2);
  voice.say(0, { kind: "started", nPromptTokens: 1 });
  for (let i = 0; i < 40; i++) {
    voice.say(0, text(500_000));
    await Bun.sleep(1);
  }
  return socket;
}

describe("a client that does not read", () => {
  test("its answer is given up at the time limit", async () => {
    await using voice = openVoice({ mostSeconds: 0.5 });
    const socket = await clog(voice);
    await eventually(() => voice.cancelled().length === 2);
    expect(voice.client.nOpen).toBe(0);
    socket.destroy();
  });

  test("it does not keep the server from stopping", async () => {
    const voice = openVoice();
    const socket = await clog(voice);
    await voice.server.stop();
    expect(voice.cancelled()).toEqual([0, 1]);
    socket.destroy();
  });

  test("an answer of which too much is unread is given up, and says so", async () => {
    await using voice = openVoice();
    const socket = await clog(voice);
    for (let i = 0; i < 1000 && voice.cancelled().length === 0; i++) voice.say(1, scored(1000));
    expect(voice.cancelled()).toEqual([0, 1]);
    const told: string[] = [];
    socket.on("data", (data) => told.push(String(data).slice(-300)));
    socket.resume();
    await eventually(() => told.join("").includes("slow_reader"));
    socket.destroy();
  });

  test("an abort cancels what is left and drops what is unread, although nobody asks for the next event", async () => {
    const sent: ToHost[] = [];
    const client = new HostClient((message) => sent.push(message), 8);
    const stop = new AbortController();
    const job = { model: "m", input: { kind: "text", text: "x" }, stops: [], seed: 0, stream: 0 } as const;
    const events = client.run([{ ...job, scoreStop: false, echo: false }], stop.signal);
    const first = events.next();
    client.receive({ id: 0, event: { kind: "started", nPromptTokens: 1 } });
    await first;
    client.receive({ id: 0, event: text(5) });
    stop.abort(new Error("enough"));
    expect(sent.at(-1)).toEqual({ kind: "cancel", id: 0 });
    expect(client.nOpen).toBe(0);
    await expect(events.next()).rejects.toThrow("enough");
  });
});

describe("a host that says nothing yet", () => {
  test("a stream has its headers, and comments, before the first event", async () => {
    await using voice = openVoice({ quietSeconds: 0.05 });
    const answer = await post(voice, asked);
    expect(answer.headers.get("Content-Type")).toStartWith("text/event-stream");
    const reader = answer.body?.getReader() ?? expect.unreachable();
    let told = "";
    while (!told.includes(": waiting\n\n: waiting\n\n")) told += new TextDecoder().decode((await reader.read()).value);
    voice.say(0, { kind: "started", nPromptTokens: 1 });
    voice.say(0, text(3));
    voice.say(0, { kind: "ended", finish: "stop", nNewTokens: 1 });
    while (!told.endsWith("[DONE]\n\n")) told += new TextDecoder().decode((await reader.read()).value);
    expect(told).toContain('"text":"xxx"');
  });

  test("a refusal in time has its status, and a late one is told in the stream", async () => {
    await using voice = openVoice({ quietSeconds: 0.3 });
    const refused: JobEvent = { kind: "refused", refusal: { kind: "tooLong", message: "It is too long for this." } };
    const early = post(voice, asked);
    await eventually(() => voice.started().length === 1);
    voice.say(0, refused);
    expect((await early).status).toBe(400);
    const late = await post(voice, asked);
    expect(late.status).toBe(200);
    voice.say(1, refused);
    expect(await late.text()).toContain("context_length_exceeded");
    expect(voice.client.nOpen).toBe(0);
  });

  test("a client that has left is noticed while nothing is said", async () => {
    await using voice = openVoice({ quietSeconds: 0.05 });
    const stop = new AbortController();
    await post(voice, asked, { signal: stop.signal });
    stop.abort();
    await eventually(() => voice.cancelled().length === 1);
    expect(voice.client.nOpen).toBe(0);
  });
});

describe("connections", () => {
  test.each([true, false])(
    "one that is left open after an answer is closed, streamed: %p",
    async (stream) => {
      await using voice = openVoice({ idleSeconds: 1 });
      const socket = rawPost(voice, { ...asked, stream });
      let closed = false;
      socket.on("close", () => {
        closed = true;
      });
      socket.resume();
      await eventually(() => voice.started().length === 1);
      voice.say(0, { kind: "started", nPromptTokens: 1 });
      voice.say(0, { kind: "ended", finish: "stop", nNewTokens: 0 });
      await eventually(() => closed);
    },
    15_000,
  );

  test("a request that comes while the server stops is refused", async () => {
    await using voice = openVoice();
    const open = await clog(voice);
    const half = connect(Number(new URL(voice.server.url).port), "127.0.0.1");
    const body = JSON.stringify(asked);
    const head = `Host: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}`;
    half.write(`POST /v1/completions HTTP/1.1\r\n${head}\r\n\r\n${body.slice(0, 5)}`);
    let told = "";
    half.on("data", (data) => {
      told += data;
    });
    await Bun.sleep(50);
    const stopped = voice.server.stop();
    half.write(body.slice(5));
    await stopped;
    expect(told).toStartWith("HTTP/1.1 503");
    expect(voice.started()).toEqual([0, 1]);
    for (const socket of [open, half]) socket.destroy();
  });
});
