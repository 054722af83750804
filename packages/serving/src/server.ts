import { Api } from "./api.ts";
import type { HostClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import { UnderWay } from "./underWay.ts";
import { within } from "./within.ts";

/** What the API offers, to whom, and its limits. */
export interface ApiOptions {
  /** Where its server listens: on loopback only this machine's names are taken. */
  readonly host: string;
  /** Demanded of every request where it is set. */
  readonly token?: string;
  /** Names of the models, in the order in which they are listed. */
  readonly models: readonly string[];
  /** Longest body of a request. */
  readonly mostBodyBytes: number;
  /** Longest time of a request, its wait included. */
  readonly mostSeconds: number;
  /** Time in which a request must arrive and its answer be fetched; a connection without either is closed. */
  readonly idleSeconds: number;
  /** Silence of a stream after which its client is told that it waits. */
  readonly quietSeconds: number;
}

/** Where and how a server listens. */
export interface ServerOptions extends ApiOptions {
  /** 0: any that is free. */
  readonly port: number;
}

/** A server that listens. */
export interface ApiServer {
  readonly url: string;
  /** Take no more requests, end those under way, and close the port. */
  stop(): Promise<void>;
}

/** What answers the API's requests: for a server that has pages beside it, too. */
export interface ApiHandler {
  /** Any request is answered; errors too. */
  answer(request: Request, server: Bun.Server<undefined>): Promise<Response>;
  /** Take no more requests, and end those under way. */
  stop(): void;
}

/** Open the API without a server. */
export function openApi(client: HostClient, options: ApiOptions): ApiHandler {
  const underWay = new UnderWay(options.mostSeconds);
  const api = new Api(client, options, underWay);
  return {
    answer: (request, server) => api.answer(request, server).catch(errorResponse),
    stop: () => underWay.stop(),
  };
}

/** Seconds in which clients can fetch their errors from a server that stops. */
const graceSeconds = 1;

/** Serve models over HTTP in the form of OpenAI's API. @throws when the port cannot be had */
export function serveApi(client: HostClient, options: ServerOptions): ApiServer {
  const api = openApi(client, options);
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: options.idleSeconds,
    // Bun's own refusal has no words; see readBody for ours.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: (request, server) => api.answer(request, server),
  });
  return {
    url: server.url.href.replace(/\/$/, ""),
    async stop() {
      api.stop();
      await within(server.stop(), graceSeconds);
      await server.stop(true);
    },
  };
}

/** An error as its client reads it. */
export function errorResponse(error: unknown): Response {
  if (error instanceof ApiError) return error.response();
  return new ApiError(500, "server_error", (error as Error).message, { retry: false }).response();
}
