import { Api } from "./api.ts";
import type { HostClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import { UnderWay } from "./underWay.ts";
import { within } from "./within.ts";

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
  /** Time in which a request must arrive and its answer be fetched; a connection without either is closed. */
  readonly idleSeconds: number;
  /** Silence of a stream after which its client is told that it waits. */
  readonly quietSeconds: number;
}

/** A server that listens. */
export interface ApiServer {
  readonly url: string;
  /** Take no more requests, end those under way, and close the port. */
  stop(): Promise<void>;
}

/** Seconds in which clients can fetch their errors from a server that stops. */
const graceSeconds = 1;

/** Serve models over HTTP in the form of OpenAI's API. @throws when the port cannot be had */
export function serveApi(client: HostClient, options: ServerOptions): ApiServer {
  const underWay = new UnderWay(options.mostSeconds);
  const api = new Api(client, options, underWay);
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: options.idleSeconds,
    // Bun's own refusal has no words; see readBody for ours.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: (request, server) => api.answer(request, server).catch(asResponse),
  });
  return {
    url: server.url.href.replace(/\/$/, ""),
    async stop() {
      underWay.stop();
      await within(server.stop(), graceSeconds);
      await server.stop(true);
    },
  };
}

function asResponse(error: unknown): Response {
  if (error instanceof ApiError) return error.response();
  return new ApiError(500, "server_error", (error as Error).message, { retry: false }).response();
}
