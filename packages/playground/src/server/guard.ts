import { ApiError, checkHost, checkOrigin, isLoopback, isSame } from "@safedelta/serving";

/** Who may use the server. */
export interface Door {
  /** Where it listens. */
  readonly host: string;
  /** Demanded where it is set. */
  readonly token?: string;
}

const cookieName = "safedelta";

/**
 * Only pages of this server itself may ask. With a token, the address with `?token=…` is opened once: the answer is a cookie
 * that only this server's own pages send, and the address without the token.
 * @returns that answer; undefined where the request may go on
 * @throws ApiError 401 or 403
 */
export function enter(request: Request, { host, token }: Door): Response | undefined {
  if (isLoopback(host)) checkHost(request);
  checkOrigin(request);
  if (token === undefined) return undefined;
  const url = new URL(request.url);
  const given = url.searchParams.get("token");
  if (given !== null && isSame(given, token)) return withCookie(token);
  const cookie = cookieOf(request);
  if (cookie !== undefined && isSame(cookie, encodeURIComponent(token))) return undefined;
  const text = "This server wants its token: open the address with ?token=… that the command printed.";
  throw new ApiError(401, "authentication_error", text, { code: "invalid_api_key" });
}

function withCookie(token: string): Response {
  const cookie = `${cookieName}=${encodeURIComponent(token)}; Path=/; HttpOnly; SameSite=Strict`;
  return new Response(null, { status: 303, headers: { Location: "/", "Set-Cookie": cookie } });
}

function cookieOf({ headers }: Request): string | undefined {
  const pairs = (headers.get("cookie") ?? "").split(";").map((pair) => pair.trim().split("="));
  return pairs.find(([name]) => name === cookieName)?.[1];
}

/** Where pages may load from: here; with models for web-llm, also the libraries and weights that it knows by address. */
export function securityHeaders(usesWebLlm: boolean): Record<string, string> {
  const elsewhere = usesWebLlm ? " https://raw.githubusercontent.com https://huggingface.co https://*.hf.co" : "";
  const policy = [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self' data:",
    "worker-src 'self'",
    `connect-src 'self'${elsewhere}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    "Content-Security-Policy": policy.join("; "),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
  };
}
