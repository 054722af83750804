import type { Message } from "@safedelta/data";
import type { AnswerOptions, ChatModel, Drawing } from "./chat.ts";

/** Why an endpoint gave no answer. */
export type EndpointErrorKind = "unreachable" | "timeout" | "refused" | "busy" | "malformed";

/** An endpoint that gives no answer: says which one, what it said, and what to look at. */
export class EndpointError extends Error {
  override readonly name = "EndpointError";
  constructor(
    readonly kind: EndpointErrorKind,
    message: string,
  ) {
    super(message);
  }
}

/** An endpoint in the form of OpenAI's API. */
export interface EndpointOptions {
  /** Base URL, with /v1 where the server has it: https://api.openai.com/v1 */
  readonly url: string;
  readonly model: string;
  readonly apiKey?: string;
  /** Requests under way at once. */
  readonly nTogether?: number;
  /** Tries after the first, for a busy server, one that cannot be reached, and a time limit. */
  readonly nRetries?: number;
  readonly timeoutMs?: number;
  /** Wait before the first retry; doubled each time, unless the server says how long. */
  readonly waitMs?: number;
}

/** A remote model as a chat model: POST URL/chat/completions, temperature 0 unless answers are drawn. `answer` throws EndpointError. */
export function endpointChat(options: EndpointOptions): ChatModel {
  return {
    name: options.model,
    answer: (prompts, asked) =>
      inTurns(prompts, options.nTogether ?? 4, (messages) => askPatiently(options, messages, asked)),
  };
}

/** Results in the order of the items, `nTogether` at once; the first failure ends it. */
async function inTurns<T, R>(items: readonly T[], nTogether: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(nTogether, items.length) }, worker));
  return results;
}

/** What may pass by itself. */
const passing: readonly EndpointErrorKind[] = ["unreachable", "timeout", "busy"];

async function askPatiently(options: EndpointOptions, messages: readonly Message[], asked: AnswerOptions) {
  const { nRetries = 4, waitMs = 1000 } = options;
  for (let attempt = 0; ; attempt++) {
    const found = await ask(options, messages, asked);
    if (typeof found === "string") return found;
    if (attempt >= nRetries || !passing.includes(found.error.kind)) throw found.error;
    await Bun.sleep(found.waitMs ?? waitMs * 2 ** attempt);
  }
}

interface Failed {
  readonly error: EndpointError;
  /** What the server's Retry-After asks for. */
  readonly waitMs?: number;
}

async function ask(
  options: EndpointOptions,
  messages: readonly Message[],
  { maxNewTokens, drawing }: AnswerOptions,
): Promise<string | Failed> {
  const { url, model, apiKey, timeoutMs = 120_000 } = options;
  const address = `${url.replace(/\/+$/, "")}/chat/completions`;
  const failed = (kind: EndpointErrorKind, what: string) => ({
    error: new EndpointError(kind, `${address} (${model}): ${what}`),
  });
  try {
    const response = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json", ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}) },
      body: JSON.stringify({ model, messages, max_tokens: maxNewTokens, ...drawingFields(drawing) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (response.ok) return contentOf(text) ?? failed("malformed", `no choices[0].message.content in ${said(text)}`);
    const { status } = response;
    const kind = [408, 409, 429].includes(status) || status >= 500 ? "busy" : "refused";
    return { ...failed(kind, `status ${status}: ${said(text)}${adviceOn(status)}`), waitMs: retryAfterMs(response) };
  } catch (error) {
    const { name, code, message } = error as NodeJS.ErrnoException;
    if (name === "TimeoutError") return failed("timeout", `no answer within ${timeoutMs} ms`);
    return failed("unreachable", `cannot be reached (${code ?? message}). Is the server running, and the URL right?`);
  }
}

/** `top_k` is no field of OpenAI's own, but of most servers that speak its form. */
function drawingFields(drawing: Drawing | undefined) {
  if (drawing === undefined) return { temperature: 0 };
  const { temperature, topK: top_k, topP: top_p, seed } = drawing;
  return { temperature, top_k, top_p, seed };
}

function contentOf(text: string): string | undefined {
  try {
    const content = JSON.parse(text)?.choices?.[0]?.message?.content;
    return typeof content === "string" ? content : undefined;
  } catch {
    return undefined;
  }
}

/** What to look at, where a status tells. */
function adviceOn(status: number): string {
  if (status === 401 || status === 403) return " (is the key in OPENAI_API_KEY right?)";
  return status === 404 ? " (are the URL, with /v1 where the server has it, and the model's name right?)" : "";
}

/** What a server says of a failure: the message of its JSON in any of the usual forms, else the text itself; at most 300 characters on one line. */
function said(text: string): string {
  const words = (messageOf(text) ?? text).replace(/\s+/g, " ").trim();
  if (words === "") return "(an empty answer)";
  return words.length > 300 ? `${words.slice(0, 300)}…` : words;
}

/** `{"error": {"message"}}` (OpenAI, llama.cpp), `{"error"}` (Ollama), `{"message"}` (vLLM), `{"detail"}` (FastAPI). */
function messageOf(text: string): string | undefined {
  try {
    const { error, message, detail } = JSON.parse(text) ?? {};
    return [error?.message, error, message, detail].find((one) => typeof one === "string");
  } catch {
    return undefined;
  }
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return seconds >= 0 ? Math.min(seconds, 60) * 1000 : undefined;
}
