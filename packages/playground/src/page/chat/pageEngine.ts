import type { HostClient, Job } from "@safedelta/serving";
import type { ChatEngine, Question } from "./chatEngine.ts";

function jobOf({ model, messages, maxNewTokens }: Question): Job {
  return {
    model,
    input: { kind: "chat", messages: messages.map((message) => ({ ...message })) },
    nDefaultTokens: maxNewTokens,
    stops: [],
    seed: 0,
    stream: 0,
    temperature: 0,
    scoreStop: false,
    echo: false,
  };
}

/** Our WASM engine in the page's worker. */
export function pageEngine(client: HostClient): ChatEngine {
  return {
    async *stream(question, signal) {
      for await (const { event } of client.run([jobOf(question)], signal)) {
        if (event.kind === "refused") throw new Error(event.refusal.message);
        if (event.kind === "text") yield event.text;
      }
    },
  };
}
