import type { Progress } from "../scene.ts";

const utf8 = new TextEncoder();

/** Looks that find nothing new before a comment is sent, so that a lost reader is noticed. */
const quietLooks = 15;

/** How far the watched work is, as server-sent events: at first, and whenever it has changed, until the reader leaves. */
export function progressStream(
  look: () => Promise<readonly Progress[]>,
  seconds: number,
  signal: AbortSignal,
): Response {
  let told = "";
  let nQuiet = 0;
  let isOver = false;
  const pause = () => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const next = async (): Promise<string> => {
    for (let isFirst = told === ""; !isOver && !signal.aborted; isFirst = false) {
      if (!isFirst) await pause();
      const now = JSON.stringify(await look());
      if (now !== told) {
        told = now;
        return `data: ${now}\n\n`;
      }
      if (++nQuiet % quietLooks === 0) return ": nothing new\n\n";
    }
    return "";
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const text = await next();
      if (text !== "") controller.enqueue(utf8.encode(text));
      else if (!isOver) controller.close();
    },
    cancel() {
      isOver = true;
    },
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" } });
}
