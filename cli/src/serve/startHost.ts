import { HostClient } from "@safedelta/serving";
import { ToldError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import type { HostMessage, HostSetup } from "./hostWorker.ts";

/** The models in their worker. */
export interface RunningHost extends Disposable {
  readonly client: HostClient;
  /** The engine in words. */
  readonly engine: string;
  /** Settles, with the error, only when the worker ends by itself. */
  readonly broken: Promise<Error>;
}

/**
 * Open the models in a worker, so that their work never blocks who serves them.
 * @param mostJobs see `HostClient`
 * @throws ToldError with what the worker tells when it cannot open them
 */
export async function startHost(setup: HostSetup, mostJobs: number, io: Io): Promise<RunningHost> {
  const worker = new Worker(new URL("./hostWorker.ts", import.meta.url).href);
  const client = new HostClient((message) => worker.postMessage(message), mostJobs);
  const ready = Promise.withResolvers<string>();
  const broken = Promise.withResolvers<Error>();
  worker.onmessage = ({ data }: MessageEvent<HostMessage>) => {
    if (data.kind === "host") client.receive(data.message);
    else if (data.kind === "ready") ready.resolve(data.engine);
    else if (data.kind === "failed") ready.reject(new ToldError(data.told));
    else if (data.kind === "warn") io.progress.warn(data.text);
    else io.note(data.text);
  };
  worker.onerror = ({ message }) => {
    const error = new Error(`The worker with the models has ended: ${message}`);
    ready.reject(error);
    client.fail(error);
    broken.resolve(error);
  };
  worker.postMessage(setup);
  try {
    const engine = await ready.promise;
    return { client, engine, broken: broken.promise, [Symbol.dispose]: () => worker.terminate() };
  } catch (error) {
    worker.terminate();
    throw error;
  }
}
