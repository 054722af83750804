import { createHash, timingSafeEqual } from "node:crypto";
import { ApiError } from "./errors.ts";

/** Names of this machine that only it can mean. */
const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];

/** True for an address that no other machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * A page in the user's browser can send requests to loopback, too, under a name of its own that it points here: only names that
 * mean this machine are taken.
 * @throws ApiError 403
 */
export function checkHost(request: Request): void {
  const host = request.headers.get("host") ?? "";
  const name = host.replace(/:\d+$/, "").toLowerCase();
  if (loopbackNames.includes(name) || isLoopback(name)) return;
  throw new ApiError(
    403,
    "permission_error",
    `Host "${host}" is not this machine; use one of ${loopbackNames.join(", ")}.`,
  );
}

/**
 * A page of another site must not use this one, be it only to see whether something is here. Following a link is no use of it.
 * @throws ApiError 403
 */
export function checkOrigin({ headers }: Request): void {
  const [origin, site] = [headers.get("origin"), headers.get("sec-fetch-site")];
  const isOwn = origin === null || URL.parse(origin)?.host === headers.get("host");
  const isAsked = site === null || site === "same-origin" || site === "none";
  if (isOwn && (isAsked || headers.get("sec-fetch-mode") === "navigate")) return;
  throw new ApiError(403, "permission_error", `Another site (${origin ?? site}) may not use this server.`);
}

/** @throws ApiError 401 unless the request brings the token */
export function checkToken(request: Request, token: string): void {
  const given = /^Bearer\s+(.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (given !== undefined && isSame(given, token)) return;
  const message = given === undefined ? "This server wants a token: Authorization: Bearer …" : "The token is wrong.";
  throw new ApiError(401, "authentication_error", message, { code: "invalid_api_key" });
}

/** Whether two secrets are the same, in a time that tells nothing of them. */
export function isSame(given: string, token: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

/**
 * The JSON body of a request. Only what is declared as JSON is taken: a browser does not send that to another site unasked.
 * @throws ApiError 400, 413 or 415
 */
export async function readBody(request: Request, mostBytes: number): Promise<unknown> {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw new ApiError(415, "invalid_request_error", `Content-Type is "${type}"; application/json is needed.`);
  const bytes = await readAtMost(request, mostBytes);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new ApiError(400, "invalid_request_error", `The body is no JSON: ${(error as Error).message}`);
  }
}

async function readAtMost(request: Request, mostBytes: number): Promise<Uint8Array> {
  const tooLarge = () => new ApiError(413, "invalid_request_error", `The body is larger than ${mostBytes} bytes.`);
  if (Number(request.headers.get("content-length") ?? 0) > mostBytes) throw tooLarge();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.length;
    if (length > mostBytes) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}
