import { formatNumber } from "@safedelta/report/web";
import type { ChatEngine, Question } from "./chatEngine.ts";

/** This computer's engine behind the server, in the form of OpenAI's API, which takes no longer body than `mostBodyBytes`. */
export function serverEngine(mostBodyBytes: number): ChatEngine {
  return {
    async *stream({ model, messages }: Question, signal) {
      const body = new TextEncoder().encode(JSON.stringify({ model, messages, temperature: 0, stream: true }));
      if (body.length > mostBodyBytes) throw new Error(tooLong(body.length, mostBodyBytes));
      const headers = { "Content-Type": "application/json" };
      const response = await fetch("/v1/chat/completions", { method: "POST", headers, body, signal });
      if (!response.ok || !response.body) throw new Error(await refusal(response));
      for await (const data of eventsOf(response.body)) {
        const { choices, error } = JSON.parse(data);
        if (error) throw new Error(error.message);
        const text = choices?.[0]?.delta?.content;
        if (text) yield text;
      }
    },
  };
}

function tooLong(bytes: number, most: number): string {
  return `The prompt is too long to be sent: ${formatNumber(bytes)} bytes, where this playground takes ${formatNumber(most)} at most. Shorten it.`;
}

async function refusal(response: Response): Promise<string> {
  const body = await response.json().catch(() => undefined);
  return body?.error?.message ?? `The server answered ${response.status}.`;
}

/** The data of server-sent events, up to `[DONE]`. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "data: [DONE]") return;
        if (line.startsWith("data: ")) yield line.slice(6);
      }
    }
  } finally {
    await reader.cancel();
  }
}
