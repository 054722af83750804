import { HostClient } from "@safedelta/serving";
import type { LinearNumbers } from "../scene.ts";
import type { FromWorker, SweepPoint, ToWorker } from "../worker/messages.ts";

/** How far the worker is with what was asked of it. */
export type OnWork = (text: string, done: number, all: number) => void;

type Answer<K extends FromWorker["kind"]> = Extract<FromWorker, { kind: K }>;

/** The worker with the WASM engine, as calls. One is under way at a time; answers of models go beside them. */
export class PageWorker {
  private readonly worker = new Worker("/worker.js", { type: "module" });
  private waiting: PromiseWithResolvers<FromWorker> | undefined;
  readonly client = new HostClient((message) => this.send({ kind: "host", message }), 16);

  constructor(private readonly onWork: OnWork) {
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.hear(data);
    this.worker.onerror = ({ message }) => {
      const error = new Error(`The worker with the models has ended: ${message}`);
      this.client.fail(error);
      this.waiting?.reject(error);
    };
  }

  /** Gives the engine's description. @throws Error in words */
  async open(models: readonly string[]): Promise<string> {
    return (await this.call<"opened">({ kind: "open", models })).engine;
  }

  async prepare(aligned: string, tuned: string, shares: readonly number[]): Promise<readonly SweepPoint[]> {
    return (await this.call<"prepared">({ kind: "prepare", aligned, tuned, shares })).sweep;
  }

  async repair(share: number): Promise<{ readonly linears: readonly LinearNumbers[]; readonly ms: number }> {
    return this.call<"repaired">({ kind: "repair", share });
  }

  private async call<K extends FromWorker["kind"]>(message: ToWorker): Promise<Answer<K>> {
    this.waiting = Promise.withResolvers();
    this.send(message);
    const answer = await this.waiting.promise;
    if (answer.kind === "failed") throw new Error(answer.text);
    return answer as Answer<K>;
  }

  private send(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private hear(message: FromWorker): void {
    if (message.kind === "host") this.client.receive(message.message);
    else if (message.kind === "progress") this.onWork(message.text, message.done, message.all);
    else this.waiting?.resolve(message);
  }
}
