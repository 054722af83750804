import type { ChoiceEvent } from "../client.ts";
import { ApiError } from "../errors.ts";
import { type ApiRequest, type Collected, errorOf, type Finish, Usage } from "./api.ts";

/** What a request has become, and the events of its jobs. */
export interface Running {
  readonly request: ApiRequest & { readonly nEach: number };
  readonly events: AsyncGenerator<ChoiceEvent, void>;
}

interface Head {
  readonly id: string;
  readonly created: number;
  readonly model: string;
}

function headOf({ model, format }: ApiRequest): Head {
  return {
    id: format.idPrefix + crypto.randomUUID().replaceAll("-", ""),
    created: Math.floor(Date.now() / 1000),
    model,
  };
}

/** The whole answer as one document. @throws ApiError when a job is refused */
export async function wholeAnswer({ request, events }: Running): Promise<Response> {
  const { format, jobs, nEach } = request;
  const usage = new Usage(nEach);
  const choices = jobs.map(() => ({ text: "", tokens: [] as Collected["tokens"][number][], finish: "stop" as Finish }));
  for await (const heard of events) {
    usage.hear(heard);
    const { choice, event } = heard;
    if (event.kind === "refused") throw errorOf(event.refusal);
    if (event.kind === "ended") choices[choice].finish = event.finish;
    if (event.kind !== "text") continue;
    choices[choice].text += event.text;
    choices[choice].tokens.push(...event.tokens);
  }
  const document = { ...headOf(request), object: format.object };
  return Response.json({ ...document, choices: choices.map((one, i) => format.choice(i, one)), usage: usage.document });
}

/**
 * The answer as server-sent events. Waits for the first event, so that a refusal still has its own status.
 * @throws ApiError when the first job that is heard of is refused
 */
export async function streamedAnswer(running: Running, onEnd: () => void): Promise<Response> {
  const { request, events } = running;
  const first = await events.next();
  if (!first.done && first.value.event.kind === "refused") {
    await events.return();
    throw errorOf(first.value.event.refusal);
  }
  const lines = sseLines(request, first.done ? undefined : first.value, events);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await lines.next();
      if (!done) return controller.enqueue(utf8.encode(value));
      onEnd();
      controller.close();
    },
    async cancel() {
      onEnd();
      await lines.return();
    },
  });
  const headers = { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache" };
  return new Response(body, { headers });
}

const utf8 = new TextEncoder();

async function* sseLines(
  request: Running["request"],
  first: ChoiceEvent | undefined,
  events: AsyncGenerator<ChoiceEvent, void>,
): AsyncGenerator<string, void> {
  const chunks = new Chunks(request);
  try {
    if (first) yield* chunks.of(first).map(line);
    for await (const heard of events) yield* chunks.of(heard).map(line);
    yield* chunks.atEnd().map(line);
    yield "data: [DONE]\n\n";
  } catch (error) {
    // The status is sent already: what is left is to say it in the stream.
    const told = error instanceof ApiError ? error : new ApiError(500, "server_error", (error as Error).message);
    yield line(told.body);
  } finally {
    await events.return();
  }
}

function line(document: object): string {
  return `data: ${JSON.stringify(document)}\n\n`;
}

/** The documents of a stream. */
class Chunks {
  private readonly head: object;
  private readonly usage: Usage;
  /** Length of the text that the tokens of each choice have had so far. */
  private readonly ends: number[];

  constructor(private readonly request: Running["request"]) {
    this.head = { ...headOf(request), object: request.format.chunkObject };
    this.usage = new Usage(request.nEach);
    this.ends = request.jobs.map(() => 0);
  }

  of(heard: ChoiceEvent): object[] {
    this.usage.hear(heard);
    const { choice, event } = heard;
    const { format } = this.request;
    if (event.kind === "refused") throw errorOf(event.refusal);
    if (event.kind === "started") return format.first ? [this.chunk([format.first(choice)])] : [];
    if (event.kind === "ended") return [this.chunk([format.last(choice, event.finish)])];
    const offset = this.ends[choice];
    this.ends[choice] += event.tokens.reduce((sum, { text }) => sum + text.length, 0);
    return [this.chunk([format.chunk(choice, event.text, event.tokens, offset)])];
  }

  atEnd(): object[] {
    return this.request.streamUsage ? [{ ...this.head, choices: [], usage: this.usage.document }] : [];
  }

  private chunk(choices: object[]): object {
    return this.request.streamUsage ? { ...this.head, choices, usage: null } : { ...this.head, choices };
  }
}
