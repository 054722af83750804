import { ApiError } from "./errors.ts";

/** A request that is being answered. */
export interface Turn {
  /** Aborted, with the ApiError to be told, when the answer is not to go on. */
  readonly signal: AbortSignal;
  /** The client has left. */
  leave(): void;
  /** All is told: nothing can end the request any more. */
  end(): void;
}

/** Requests that are being answered, until their end, their client's leaving, the time limit, or the server's stop. */
export class UnderWay {
  private readonly open = new Set<AbortController>();
  private stopping = false;

  constructor(private readonly mostSeconds: number) {}

  /** @param client aborted when the client leaves. @throws ApiError when the server is stopping */
  begin(client: AbortSignal): Turn {
    if (this.stopping) throw stopped();
    const ending = new AbortController();
    const leave = () => ending.abort(new ApiError(400, "invalid_request_error", "The client has left."));
    const timer = setTimeout(() => ending.abort(this.late()), this.mostSeconds * 1000);
    client.addEventListener("abort", leave, { once: true });
    if (client.aborted) leave();
    this.open.add(ending);
    const end = () => {
      clearTimeout(timer);
      client.removeEventListener("abort", leave);
      this.open.delete(ending);
    };
    return { signal: ending.signal, leave, end };
  }

  /** End all, and begin none any more. */
  stop(): void {
    this.stopping = true;
    for (const one of this.open) one.abort(stopped());
  }

  private late(): ApiError {
    const message = `The answer took more than ${this.mostSeconds} s.`;
    return new ApiError(503, "server_error", message, { code: "timeout", retry: false });
  }
}

function stopped(): ApiError {
  return new ApiError(503, "server_error", "The server is stopping.", { retry: false });
}
