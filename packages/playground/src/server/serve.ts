import { ApiError, errorResponse, openApi } from "@safedelta/serving";
import type { PageFile, PageFiles } from "./bundle.ts";
import { type Door, enter, securityHeaders } from "./guard.ts";
import { modelRoute } from "./modelRoutes.ts";
import { progressStream } from "./progressStream.ts";
import { sceneOf } from "./sceneOf.ts";
import type { Sources } from "./sources.ts";

/** Where and how a playground listens. */
export interface ServeOptions extends Door {
  /** 0: any that is free. */
  readonly port: number;
  /** Longest body of a request. */
  readonly mostBodyBytes: number;
  /** Longest time of an answer. */
  readonly mostSeconds: number;
  /** Time in which a request must arrive and its answer be fetched. */
  readonly idleSeconds: number;
  /** How often the watched work is looked at. */
  readonly watchSeconds: number;
}

/** A playground that listens. */
export interface PlaygroundServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Serve the page, its models and their answers. @throws when the port cannot be had */
export function servePlayground(page: PageFiles, sources: Sources, options: ServeOptions): PlaygroundServer {
  const names = sources.models.filter(({ kind }) => kind === "tensors").map(({ name }) => name);
  const { token: _, ...open } = options; // asked for at the door
  const api = openApi(sources.client, { ...open, models: names, quietSeconds: 2 });
  const headers = securityHeaders(sources.models.some(({ kind }) => kind === "mlc"));
  const route = router(page, sources, options, api);
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    idleTimeout: options.idleSeconds,
    // Bun's own refusal has no words; the API's has.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request, server) {
      const response = await answer(request, server, options, route);
      for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
      return response;
    },
  });
  return {
    url: server.url.href.replace(/\/$/, ""),
    async stop() {
      api.stop();
      await server.stop(true);
    },
  };
}

type Route = (request: Request, url: URL, server: Bun.Server<undefined>) => Promise<Response>;

async function answer(
  request: Request,
  server: Bun.Server<undefined>,
  options: ServeOptions,
  route: Route,
): Promise<Response> {
  try {
    return enter(request, options) ?? (await route(request, new URL(request.url), server));
  } catch (error) {
    return errorResponse(error);
  }
}

function router(
  page: PageFiles,
  sources: Sources,
  { watchSeconds, mostBodyBytes }: ServeOptions,
  api: ReturnType<typeof openApi>,
): Route {
  const scene = sceneOf(sources, mostBodyBytes);
  return async (request, url, server) => {
    const { pathname } = url;
    if (pathname.startsWith("/v1/")) return api.answer(request, server);
    if (request.method !== "GET" && request.method !== "HEAD")
      throw new ApiError(405, "invalid_request_error", `${request.method} is not possible here; use GET.`);
    const file = page.get(pathname);
    if (file) return fileResponse(file);
    if (pathname === "/api/scene") return Response.json(scene);
    if (pathname === "/api/safe" && sources.safe) return Response.json(sources.safe);
    if (pathname === "/api/progress" && sources.progress) {
      server.timeout(request, 0);
      return progressStream(sources.progress, watchSeconds, request.signal);
    }
    const found = await modelRoute(sources.models, url);
    if (found) return found;
    throw new ApiError(404, "invalid_request_error", "There is nothing of this name here.");
  };
}

function fileResponse({ bytes, type }: PageFile): Response {
  return new Response(bytes, { headers: { "Content-Type": type, "Cache-Control": "no-cache" } });
}
