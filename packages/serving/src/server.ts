import type { HostClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import { checkHost, checkToken, isLoopback, readBody } from "./guard.ts";
import type { ApiRequest } from "./openai/api.ts";
import { chatRequest } from "./openai/chat.ts";
import { completionRequest } from "./openai/completions.ts";
import { streamedAnswer, wholeAnswer } from "./openai/respond.ts";

/** Where and how a server listens. */
export interface ServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Demanded of every request where it is set. */
  readonly token?: string;
  /** Names of the models, in the order in which they are listed. */
  readonly models: readonly string[];
  /** Longest body of a request. */
  readonly mostBodyBytes: number;
  /** Longest time of a request, its wait included. */
  readonly mostSeconds: number;
}

/** A server that listens. */
export interface ApiServer {
  readonly url: string;
  /** Take no more requests, end those under way, and close the port. */
  stop(): Promise<void>;
}

/** Seconds in which a request must have arrived. */
const arrivalSeconds = 30;

type Routes = Readonly<Record<string, (body: unknown) => ApiRequest & { readonly nEach: number }>>;

const routes: Routes = { "/v1/chat/completions": chatRequest, "/v1/completions": completionRequest };

/** Serve models over HTTP in the form of OpenAI's API. @throws when the port cannot be had */
export function serveApi(client: HostClient, options: ServerOptions): ApiServer {
  const underWay = new Set<AbortController>();
  const created = Math.floor(Date.now() / 1000);
  const modelOf = (id: string) => ({ id, object: "model", created, owned_by: "safedelta" });

  async function answer(request: Request, server: Bun.Server<undefined>): Promise<Response> {
    if (isLoopback(options.host)) checkHost(request);
    if (options.token !== undefined) checkToken(request, options.token);
    const path = decodePath(request.url);
    if (path === "/v1/models")
      return only(request, "GET", () => Response.json({ object: "list", data: options.models.map(modelOf) }));
    if (path.startsWith("/v1/models/"))
      return only(request, "GET", () => Response.json(modelOf(known(path.slice(11)))));
    if (!Object.hasOwn(routes, path)) throw new ApiError(404, "invalid_request_error", `There is no ${path} here.`);
    return only(request, "POST", async () => {
      const understood = routes[path](await readBody(request, options.mostBodyBytes));
      known(understood.model);
      // From now on it may take long until there is something to say.
      server.timeout(request, 0);
      return run(understood, request);
    });
  }

  function known(model: string): string {
    if (options.models.includes(model)) return model;
    const text = `There is no model "${model}" here; there is ${options.models.join(", ")}.`;
    throw new ApiError(404, "invalid_request_error", text, { param: "model", code: "model_not_found" });
  }

  /** Run until the end, the client's leaving, the time limit, or the server's stop. */
  async function run(understood: ReturnType<Routes[string]>, request: Request): Promise<Response> {
    const stop = new AbortController();
    const leave = () => stop.abort(new ApiError(400, "invalid_request_error", "The client has left."));
    const late = new ApiError(503, "server_error", `The answer took more than ${options.mostSeconds} s.`, {
      code: "timeout",
      retry: false,
    });
    const timer = setTimeout(() => stop.abort(late), options.mostSeconds * 1000);
    request.signal.addEventListener("abort", leave, { once: true });
    underWay.add(stop);
    const release = () => {
      clearTimeout(timer);
      request.signal.removeEventListener("abort", leave);
      underWay.delete(stop);
    };
    const running = { request: understood, events: client.run(understood.jobs, stop.signal) };
    try {
      if (understood.stream) return await streamedAnswer(running, release);
      const whole = await wholeAnswer(running);
      release();
      return whole;
    } catch (error) {
      release();
      throw error;
    }
  }

  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: arrivalSeconds,
    // Bun's own refusal has no words; see readBody for ours.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: (request, server) => answer(request, server).catch(asResponse),
  });
  return {
    url: server.url.href.replace(/\/$/, ""),
    async stop() {
      const stopping = new ApiError(503, "server_error", "The server is stopping.", { retry: false });
      for (const one of underWay) one.abort(stopping);
      await server.stop();
    },
  };
}

function decodePath(url: string): string {
  try {
    return decodeURIComponent(new URL(url).pathname).replace(/(.)\/$/, "$1");
  } catch {
    throw new ApiError(400, "invalid_request_error", "The path cannot be read.");
  }
}

function only<T>(request: Request, method: string, work: () => T): T {
  if (request.method === method) return work();
  throw new ApiError(405, "invalid_request_error", `${request.method} is not possible here; use ${method}.`);
}

function asResponse(error: unknown): Response {
  if (error instanceof ApiError) return error.response();
  return new ApiError(500, "server_error", (error as Error).message, { retry: false }).response();
}
