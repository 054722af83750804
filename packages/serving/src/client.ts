import { Channel } from "./channel.ts";
import { ApiError } from "./errors.ts";
import type { FromHost, Job, JobEvent, ToHost } from "./job.ts";

/** An event of one of several jobs that were given together. */
export interface ChoiceEvent {
  /** Which of the jobs. */
  readonly choice: number;
  readonly event: JobEvent;
}

/** Jobs that were given together. */
interface Asked {
  readonly channel: Channel<ChoiceEvent>;
  readonly ids: readonly number[];
}

interface Open {
  readonly asked: Asked;
  readonly choice: number;
}

/** Tokens, those beside them counted too, that may wait for one request's reader: some 10 MB. */
const mostUnread = 100_000;

/** The serving side of a `ModelHost` that lives elsewhere. */
export class HostClient {
  private readonly open = new Map<number, Open>();
  private nextId = 0;
  private failure: Error | undefined;

  /**
   * @param send takes a message to the host
   * @param mostJobs jobs that may be under way or wait together
   */
  constructor(
    private readonly send: (message: ToHost) => void,
    readonly mostJobs: number,
  ) {}

  get nOpen(): number {
    return this.open.size;
  }

  /** What the host says. Of jobs that were given up nothing is heard any more. */
  receive({ id, event }: FromHost): void {
    const found = this.open.get(id);
    if (!found) return;
    if (event.kind === "ended" || event.kind === "refused") this.open.delete(id);
    const { asked, choice } = found;
    asked.channel.put({ choice, event }, sizeOf(event));
    if (asked.channel.size <= mostUnread) return;
    const text = "The answer is given up: it was not read as fast as it was written.";
    this.giveUp(asked, new ApiError(503, "server_error", text, { code: "slow_reader", retry: false }));
  }

  /** The host is gone: every request fails, now and from now on. */
  fail(error: Error): void {
    this.failure ??= error;
    for (const { asked } of this.open.values()) asked.channel.fail(error);
    this.open.clear();
  }

  /**
   * Give jobs to the host and hear of them until all have ended. Leaving early, or an abort, cancels what is left; an abort at once,
   * whether or not anyone reads.
   * @throws ApiError when there is no room for so many, or too much is unread; the signal's reason when it is aborted
   */
  async *run(jobs: readonly Job[], signal: AbortSignal): AsyncGenerator<ChoiceEvent, void> {
    this.admit(jobs.length);
    signal.throwIfAborted();
    const asked = this.start(jobs);
    const abort = () => this.giveUp(asked, signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      for (let left = jobs.length; left > 0; ) {
        const next = await asked.channel.take();
        if (next.event.kind === "ended" || next.event.kind === "refused") left--;
        yield next;
      }
    } finally {
      signal.removeEventListener("abort", abort);
      this.cancel(asked);
    }
  }

  private giveUp(asked: Asked, reason: unknown): void {
    asked.channel.fail(reason);
    this.cancel(asked);
  }

  private cancel({ ids }: Asked): void {
    for (const id of ids) if (this.open.delete(id)) this.send({ kind: "cancel", id });
  }

  private admit(nJobs: number): void {
    if (this.failure) throw new ApiError(503, "server_error", this.failure.message);
    if (nJobs > this.mostJobs)
      throw new ApiError(
        400,
        "invalid_request_error",
        `${nJobs} answers in one request are more than the ${this.mostJobs} allowed.`,
      );
    if (this.open.size + nJobs <= this.mostJobs) return;
    const text = `${this.open.size} answers are under way or wait; ${this.mostJobs} may. Try again soon.`;
    throw new ApiError(429, "rate_limit_error", text, { code: "server_busy", retryAfterSeconds: 1 });
  }

  private start(jobs: readonly Job[]): Asked {
    const asked = { channel: new Channel<ChoiceEvent>(), ids: jobs.map((_, choice) => this.nextId + choice) };
    this.nextId += jobs.length;
    asked.ids.forEach((id, choice) => {
      this.open.set(id, { asked, choice });
    });
    this.send({ kind: "start", ids: asked.ids, jobs });
    return asked;
  }
}

function sizeOf(event: JobEvent): number {
  return event.kind === "text" ? event.tokens.reduce((sum, { top }) => sum + 1 + top.length, 1) : 1;
}
