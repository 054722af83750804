/** What else an error may tell. */
export interface ApiErrorDetails {
  /** The field of the request that is wrong. */
  readonly param?: string;
  readonly code?: string;
  /** When trying again makes sense. */
  readonly retryAfterSeconds?: number;
  /** False: the same request would fail again, or do harm. Clients of OpenAI retry by status alone otherwise. */
  readonly retry?: boolean;
}

/** An error in the form of OpenAI's API, with its HTTP status. */
export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    readonly status: number,
    readonly type:
      | "invalid_request_error"
      | "authentication_error"
      | "permission_error"
      | "rate_limit_error"
      | "server_error",
    message: string,
    readonly details: ApiErrorDetails = {},
  ) {
    super(message);
  }

  /** The document that clients read. */
  get body(): object {
    const { param = null, code = null } = this.details;
    return { error: { message: this.message, type: this.type, param, code } };
  }

  response(): Response {
    const { retryAfterSeconds, retry } = this.details;
    const headers: Record<string, string> = {};
    if (retryAfterSeconds !== undefined) headers["Retry-After"] = String(retryAfterSeconds);
    if (retry !== undefined) headers["x-should-retry"] = String(retry);
    if (this.status === 401) headers["WWW-Authenticate"] = "Bearer";
    return Response.json(this.body, { status: this.status, headers });
  }
}

/** A field of a request that cannot be. */
export function badField(param: string, message: string, code?: string): ApiError {
  return new ApiError(400, "invalid_request_error", message, { param, code });
}
