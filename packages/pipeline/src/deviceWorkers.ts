import type { Engine, EngineLoan } from "@safedelta/engine";
import type { Task } from "./deviceWorker.ts";
import type { GroupJob, Hear, Place, Work } from "./linears.ts";
import type { TaskName } from "./linearTasks.ts";
import { type PortableError, unpackError } from "./portableError.ts";

/** What a worker hears: its task, then groups one at a time, then the end. */
export type Request =
  | { readonly kind: "open"; readonly task: Task }
  | { readonly kind: "group"; readonly job: GroupJob }
  | { readonly kind: "close" };

/** What it answers: any number of results, then `done` or `failed`. */
export type Answer =
  | { readonly kind: "result"; readonly name: string; readonly result: never }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: PortableError };

/** The workers of a run: none where there is one device alone. Disposing ends them. */
export interface DeviceWorkers extends AsyncDisposable {
  readonly all: readonly DeviceWorker[];
}

/** Start a worker for each device of an engine that has peers, no more than `most`. */
export async function openDeviceWorkers(place: Place, work: Work, most: number): Promise<DeviceWorkers> {
  const opened = new AsyncDisposableStack();
  const all: DeviceWorker[] = [];
  try {
    // One after the other: several first calls of dlopen at once have crashed older versions of Bun.
    for (const loan of loansOf(place.engine).slice(0, most))
      all.push(opened.use(await DeviceWorker.open(taskOf(place, work, loan))));
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
  return { all, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** The devices that threads of their own can use; none where there is no second one. */
function loansOf(engine: Engine): EngineLoan[] {
  const { peers = [] } = engine;
  if (peers.length === 0) return [];
  return [engine, ...peers].map(({ loan }) => loan).filter((loan) => loan !== undefined);
}

function taskOf({ models, state }: Place, work: Work, loan: EngineLoan): Task {
  const { aligned, tuned, third, repaired } = models;
  const specs = {
    aligned: aligned.checkpoint.spec,
    tuned: tuned.checkpoint.spec,
    third: third?.checkpoint.spec,
    repaired: repaired?.checkpoint.spec,
  };
  return { loan, specs, state: state.folder, work };
}

/** A thread that computes on one device. */
export class DeviceWorker implements AsyncDisposable {
  /** It threw outside of a request and answers no more. */
  private broken = false;

  private constructor(private readonly worker: Worker) {}

  static async open(task: Task): Promise<DeviceWorker> {
    const opened = new DeviceWorker(new Worker(new URL("./deviceWorker.ts", import.meta.url).href));
    try {
      await opened.ask({ kind: "open", task });
      return opened;
    } catch (error) {
      opened.worker.terminate();
      throw error;
    }
  }

  /** Do the work on one group. Resolves or throws when the device is idle again and every result was heard. */
  run(job: GroupJob, hear: Hear<TaskName>): Promise<void> {
    return this.ask({ kind: "group", job }, hear);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.broken) await this.ask({ kind: "close" });
    this.worker.terminate();
  }

  private ask(request: Request, hear: Hear<TaskName> = () => {}): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let heard = Promise.resolve();
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (data.kind === "result") heard = heard.then(() => hear(data.name, data.result));
      else if (data.kind === "failed") reject(unpackError(data.error));
      else heard.then(resolve, reject);
      heard.catch(() => {}); // told at the end
    };
    this.worker.onerror = ({ message }) => {
      this.broken = true;
      reject(new Error(message));
    };
    this.worker.postMessage(request);
    return promise;
  }
}
