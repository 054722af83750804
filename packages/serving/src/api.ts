import type { HostClient } from "./client.ts";
import { ApiError } from "./errors.ts";
import { checkHost, checkToken, isLoopback, readBody } from "./guard.ts";
import { chatRequest } from "./openai/chat.ts";
import { completionRequest } from "./openai/completions.ts";
import { streamedAnswer, wholeAnswer } from "./openai/respond.ts";
import type { ApiOptions } from "./server.ts";
import type { UnderWay } from "./underWay.ts";

const routes = { "/v1/chat/completions": chatRequest, "/v1/completions": completionRequest };

type Understood = ReturnType<(typeof routes)[keyof typeof routes]>;

/** What the server answers to each request. */
export class Api {
  private readonly created = Math.floor(Date.now() / 1000);

  constructor(
    private readonly client: HostClient,
    private readonly options: ApiOptions,
    private readonly underWay: UnderWay,
  ) {}

  /** @throws ApiError */
  async answer(request: Request, server: Bun.Server<undefined>): Promise<Response> {
    const { host, token, models } = this.options;
    if (isLoopback(host)) checkHost(request);
    if (token !== undefined) checkToken(request, token);
    const path = decodePath(request.url);
    if (path === "/v1/models")
      return list(request, () => ({ object: "list", data: models.map((id) => this.about(id)) }));
    if (path.startsWith("/v1/models/")) return list(request, () => this.about(this.known(path.slice(11))));
    if (Object.hasOwn(routes, path)) return this.complete(routes[path as keyof typeof routes], request, server);
    throw new ApiError(404, "invalid_request_error", `There is no ${path} here.`);
  }

  private about(id: string): object {
    return { id, object: "model", created: this.created, owned_by: "safedelta" };
  }

  private known(model: string): string {
    const { models } = this.options;
    if (models.includes(model)) return model;
    const text = `There is no model "${model}" here; there is ${models.join(", ")}.`;
    throw new ApiError(404, "invalid_request_error", text, { param: "model", code: "model_not_found" });
  }

  private async complete(
    understand: (body: unknown) => Understood,
    request: Request,
    server: Bun.Server<undefined>,
  ): Promise<Response> {
    checkMethod(request, "POST");
    const { mostBodyBytes, idleSeconds } = this.options;
    const understood = understand(await readBody(request, mostBodyBytes));
    this.known(understood.model);
    // From now on it may take long until there is something to say.
    server.timeout(request, 0);
    return this.run(understood, request, () => server.timeout(request, idleSeconds));
  }

  /** @param onEnd called when all is told, before it is sent */
  private async run(request: Understood, { signal }: Request, onEnd: () => void): Promise<Response> {
    const turn = this.underWay.begin(signal);
    const end = () => {
      turn.end();
      onEnd();
    };
    const events = this.client.run(request.jobs, turn.signal);
    try {
      if (request.stream) return await streamedAnswer({ request, events }, { ...turn, end }, this.options.quietSeconds);
      const whole = await wholeAnswer({ request, events });
      end();
      return whole;
    } catch (error) {
      end();
      throw error;
    }
  }
}

function decodePath(url: string): string {
  try {
    return decodeURIComponent(new URL(url).pathname).replace(/(.)\/$/, "$1");
  } catch {
    throw new ApiError(400, "invalid_request_error", "The path cannot be read.");
  }
}

function list(request: Request, document: () => object): Response {
  checkMethod(request, "GET");
  return Response.json(document());
}

function checkMethod(request: Request, method: string): void {
  if (request.method === method) return;
  throw new ApiError(405, "invalid_request_error", `${request.method} is not possible here; use ${method}.`);
}
