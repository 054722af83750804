import { join } from "node:path";
import { openEngine } from "@safedelta/engine";
import { openModel } from "@safedelta/model";
import { openModelFiles, openModelTokenizer, silent } from "@safedelta/pipeline";
import {
  type ApiServer,
  HostClient,
  type HostLimits,
  ModelHost,
  type ServedModel,
  type ServerOptions,
  serveApi,
} from "@safedelta/serving";
import OpenAI from "openai";
import { tinyFolder } from "../support/pico.ts";

/** A server of the tiny pair in this process. */
export interface World extends AsyncDisposable {
  readonly url: string;
  readonly client: HostClient;
  readonly models: ReadonlyMap<string, ServedModel>;
  /** The real client of OpenAI, without its own retries. */
  readonly openai: OpenAI;
  readonly server: ApiServer;
  /** POST a body as it is. */
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** Serve the tiny pair, host and server in one thread. */
export async function openWorld(
  options: Partial<ServerOptions & HostLimits & { mostJobs: number }> = {},
): Promise<World> {
  await using owned = new AsyncDisposableStack();
  const { engine } = await openEngine("wasm");
  owned.use(engine);
  const models = new Map<string, ServedModel>();
  for (const name of ["aligned", "tuned"]) {
    await using files = await openModelFiles(join(tinyFolder, name), true, silent);
    const model = owned.use(await openModel(engine, files.checkpoint));
    models.set(name, { model, tokenizer: await openModelTokenizer(files) });
  }
  const limits = { nTogether: 4, cacheBytes: 1e8, nDefaultTokens: 16, ...options };
  const host = owned.use(new ModelHost(models, limits, (message) => client.receive(structuredClone(message))));
  const client = new HostClient((message) => host.receive(structuredClone(message)), options.mostJobs ?? 32);
  const listening = {
    host: "127.0.0.1",
    port: 0,
    models: [...models.keys()],
    mostBodyBytes: 1e5,
    mostSeconds: 60,
    idleSeconds: 30,
    quietSeconds: 2,
    ...options,
  };
  const server = serveApi(client, listening);
  owned.defer(() => server.stop());
  const { url } = server;
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  const post = (path: string, body: unknown, init: RequestInit = {}) =>
    fetch(url + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...init,
    });
  const held = owned.move();
  return { url, client, models, openai, server, post, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Wait until something holds. @throws after ten seconds */
export async function eventually(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !holds(); i++) await Bun.sleep(10);
  if (!holds()) throw new Error(`never: ${holds}`);
}
