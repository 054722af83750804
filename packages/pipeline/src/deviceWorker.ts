import { borrowEngine, type EngineLoan } from "@safedelta/engine";
import type { Answer, Request } from "./deviceWorkers.ts";
import { type Place, runGroup, type Work } from "./linears.ts";
import { openModelFiles } from "./models.ts";
import { packError } from "./portableError.ts";
import { silent } from "./progress.ts";
import { openState } from "./state.ts";

declare const self: Worker;

/** What a worker needs to open its own view of a run, in plain values. */
export interface Task {
  readonly loan: EngineLoan;
  readonly specs: Readonly<Record<"aligned" | "tuned", string> & Partial<Record<"third" | "repaired", string>>>;
  readonly state: string;
  readonly work: Work;
}

const owned = new AsyncDisposableStack();
let place: Place | undefined;
let work: Work | undefined;

const say = (answer: Answer, moved: ArrayBufferLike[] = []) => self.postMessage(answer, moved as ArrayBuffer[]);

/** The models are here already: the run has opened them. */
async function open({ loan, specs, state, ...task }: Task): Promise<void> {
  work = task.work;
  const engine = owned.use(await borrowEngine(loan));
  const aligned = owned.use(await openModelFiles(specs.aligned, true, silent));
  const onTop = async (spec: string) => owned.use(await openModelFiles(spec, true, silent, aligned.checkpoint));
  const maybe = (spec?: string) => (spec === undefined ? undefined : onTop(spec));
  const tuned = await onTop(specs.tuned);
  const [third, repaired] = [await maybe(specs.third), await maybe(specs.repaired)];
  place = { engine, models: { aligned, tuned, third, repaired }, state: await openState(state) };
}

async function answer(request: Request): Promise<void> {
  if (request.kind === "open") await open(request.task);
  if (request.kind === "close") await owned.disposeAsync();
  if (request.kind !== "group" || !place || !work) return;
  await runGroup(place, request.job, work, (name, result) => {
    const moved = "bytes" in result ? [result.bytes.buffer] : [];
    say({ kind: "result", name, result: result as never }, moved);
  });
}

self.onmessage = async ({ data }: MessageEvent<Request>) => {
  try {
    await answer(data);
    say({ kind: "done" });
  } catch (error) {
    say({ kind: "failed", error: packError(error) });
  }
};
