import type { ChatEngine, Question } from "./chatEngine.ts";

/** This computer's engine behind the server, in the form of OpenAI's API. */
export const serverEngine: ChatEngine = {
  async *stream({ model, messages }: Question, signal) {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ model, messages, temperature: 0, stream: true }),
      signal,
    });
    if (!response.ok || !response.body) throw new Error(await refusal(response));
    for await (const data of eventsOf(response.body)) {
      const { choices, error } = JSON.parse(data);
      if (error) throw new Error(error.message);
      const text = choices?.[0]?.delta?.content;
      if (text) yield text;
    }
  },
};

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
