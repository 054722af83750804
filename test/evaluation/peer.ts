/** An endpoint that answers from a script, and keeps what it was asked. */
export interface Peer extends Disposable {
  readonly url: string;
  readonly asked: { readonly body: Record<string, unknown>; readonly authorization: string | null }[];
}

/** `answer` gives the answer to a request's last message, or a whole response. */
export function startPeer(answer: (last: string, nth: number) => string | Response | Promise<Response>): Peer {
  const asked: Peer["asked"] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body = (await request.json()) as { messages: { content: string }[] } & Record<string, unknown>;
      asked.push({ body, authorization: request.headers.get("authorization") });
      const found = await answer(body.messages.at(-1)?.content ?? "", asked.length);
      if (typeof found !== "string") return found;
      return Response.json({ choices: [{ message: { role: "assistant", content: found } }] });
    },
  });
  return { url: `http://127.0.0.1:${server.port}/v1`, asked, [Symbol.dispose]: () => void server.stop(true) };
}
