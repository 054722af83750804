import type { ChoiceEvent } from "../client.ts";
import { ApiError } from "../errors.ts";
import type { Turn } from "../underWay.ts";
import { within } from "../within.ts";
import { type ApiRequest, type Collected, errorOf, type Finish, Usage } from "./api.ts";

/** What a request has become, and the events of its jobs. */
export interface Running {
  readonly request: ApiRequest;
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
    for (const token of event.tokens) choices[choice].tokens.push(token);
  }
  const document = { ...headOf(request), object: format.object };
  return Response.json({ ...document, choices: choices.map((one, i) => format.choice(i, one)), usage: usage.document });
}

/**
 * The answer as server-sent events. Waits a little for the first event, so that a refusal still has its own status; then the
 * stream begins, and comments in it tell that there is nothing yet.
 * @param quietSeconds of that wait, and between the comments
 * @throws ApiError when the first job that is heard of is refused
 */
export async function streamedAnswer(running: Running, turn: Turn, quietSeconds: number): Promise<Response> {
  const first = running.events.next();
  const heard = await within(first, quietSeconds);
  if (heard?.value?.event.kind === "refused") {
    await running.events.return();
    throw errorOf(heard.value.event.refusal);
  }
  const lines = sseLines(running.request, startingWith(first, running.events));
  const body = sseBody(withComments(lines, heard ? quietSeconds : 0, quietSeconds), turn);
  const headers = { "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache" };
  return new Response(body, { headers });
}

const utf8 = new TextEncoder();

/** Ends with an error event at the turn's abort, whether or not anyone reads. */
function sseBody(lines: AsyncGenerator<string, void>, { signal, leave, end }: Turn): ReadableStream<Uint8Array> {
  const close = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    end();
    controller.close();
  };
  let abort = () => {};
  return new ReadableStream<Uint8Array>({
    start(controller) {
      abort = () => {
        controller.enqueue(utf8.encode(line(signal.reason.body)));
        close(controller);
      };
      signal.addEventListener("abort", abort, { once: true });
    },
    async pull(controller) {
      const { done, value } = await lines.next();
      if (signal.aborted) return;
      if (!done) return controller.enqueue(utf8.encode(value));
      signal.removeEventListener("abort", abort);
      close(controller);
    },
    cancel() {
      signal.removeEventListener("abort", abort);
      leave();
      end();
    },
  });
}

/** Lines, and comments while none comes: the first after `firstSeconds`. */
async function* withComments(
  lines: AsyncGenerator<string, void>,
  firstSeconds: number,
  seconds: number,
): AsyncGenerator<string, void> {
  let next = lines.next();
  for (let quiet = firstSeconds; ; quiet = seconds) {
    const come = await within(next, quiet);
    if (come?.done) return;
    yield come ? come.value : ": waiting\n\n";
    if (come) next = lines.next();
  }
}

async function* startingWith<T>(first: Promise<IteratorResult<T, void>>, rest: AsyncGenerator<T, void>) {
  const { done, value } = await first;
  if (!done) yield value;
  yield* rest;
}

async function* sseLines(
  request: Running["request"],
  events: AsyncGenerator<ChoiceEvent, void>,
): AsyncGenerator<string, void> {
  const chunks = new Chunks(request);
  try {
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

  constructor(private readonly request: Running["request"]) {
    this.head = { ...headOf(request), object: request.format.chunkObject };
    this.usage = new Usage(request.nEach);
  }

  of(heard: ChoiceEvent): object[] {
    this.usage.hear(heard);
    const { choice, event } = heard;
    const { format } = this.request;
    if (event.kind === "refused") throw errorOf(event.refusal);
    if (event.kind === "started") return format.first ? [this.chunk([format.first(choice)])] : [];
    if (event.kind === "ended") return [this.chunk([format.last(choice, event.finish)])];
    return [this.chunk([format.chunk(choice, event.text, event.tokens)])];
  }

  atEnd(): object[] {
    return this.request.streamUsage ? [{ ...this.head, choices: [], usage: this.usage.document }] : [];
  }

  private chunk(choices: object[]): object {
    return this.request.streamUsage ? { ...this.head, choices, usage: null } : { ...this.head, choices };
  }
}
