import { Channel } from "./channel.ts";
import { ApiError } from "./errors.ts";
import type { FromHost, Job, JobEvent, ToHost } from "./job.ts";

/** An event of one of several jobs that were given together. */
export interface ChoiceEvent {
  /** Which of the jobs. */
  readonly choice: number;
  readonly event: JobEvent;
}

interface Open {
  readonly channel: Channel<ChoiceEvent>;
  readonly choice: number;
}

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
    found.channel.put({ choice: found.choice, event });
  }

  /** The host is gone: every request fails, now and from now on. */
  fail(error: Error): void {
    this.failure ??= error;
    for (const { channel } of this.open.values()) channel.fail(error);
  }

  /**
   * Give jobs to the host and hear of them until all have ended. Leaving early, or an abort, cancels what is left.
   * @throws ApiError when there is no room for so many; the signal's reason when it is aborted
   */
  async *run(jobs: readonly Job[], signal: AbortSignal): AsyncGenerator<ChoiceEvent, void> {
    this.admit(jobs.length);
    signal.throwIfAborted();
    const channel = new Channel<ChoiceEvent>();
    const ids = this.start(jobs, channel);
    const abort = () => channel.fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      for (let left = jobs.length; left > 0; ) {
        const next = await channel.take();
        if (next.event.kind === "ended" || next.event.kind === "refused") left--;
        yield next;
      }
    } finally {
      signal.removeEventListener("abort", abort);
      for (const id of ids) if (this.open.delete(id)) this.send({ kind: "cancel", id });
    }
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

  private start(jobs: readonly Job[], channel: Channel<ChoiceEvent>): number[] {
    const ids = jobs.map((_, choice) => {
      this.open.set(this.nextId, { channel, choice });
      return this.nextId++;
    });
    this.send({ kind: "start", ids, jobs });
    return ids;
  }
}
