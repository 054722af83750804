import { type Decoder, ModelError, openDecoder } from "@safedelta/model";
import { TokenizerError } from "@safedelta/tokenizer";
import { Answer, promptOf, RefusedError, type Room, type ServedModel } from "./answer.ts";
import type { FromHost, Job, JobEvent, Refusal, ToHost } from "./job.ts";

/** How much each model may do at the same time. */
export interface HostLimits {
  /** Answers of one model that are written together. */
  readonly nTogether: number;
  /** Bytes of each model's cache of keys and values. */
  readonly cacheBytes: number;
  /** Tokens of an answer whose length is not asked for. */
  readonly nDefaultTokens: number;
}

/** Prompt tokens that one step runs beside the answers: short enough that these do not stutter. */
const stepTokens = 128;

/** A model with its decoder and those who wait for it. */
interface Hosted extends ServedModel {
  readonly decoder: Decoder;
  readonly room: Room;
  readonly waiting: { readonly id: number; readonly job: Job }[];
  readonly open: Map<number, Answer>;
}

/**
 * Answers jobs on the models it is given, those of one model together, in the order in which they came. Lives where blocking does
 * no harm: a worker.
 */
export class ModelHost implements Disposable {
  private readonly hosted = new Map<string, Hosted>();
  private running = false;

  /** @throws EngineMemoryError when the caches do not fit; ModelError when `cacheBytes` hold no answer at all */
  constructor(
    models: ReadonlyMap<string, ServedModel>,
    limits: HostLimits,
    private readonly send: (message: FromHost) => void,
  ) {
    for (const [name, served] of models) this.hosted.set(name, host(served, limits));
  }

  receive(message: ToHost): void {
    if (message.kind === "cancel") this.cancel(message.id);
    else this.enqueue(message);
  }

  private enqueue({ id, job }: Extract<ToHost, { kind: "start" }>): void {
    const hosted = this.hosted.get(job.model);
    hosted?.waiting.push({ id, job });
    if (!hosted) this.refuse(id, { kind: "invalid", message: `There is no model ${job.model}.` });
    else if (!this.running) void this.run();
  }

  private cancel(id: number): void {
    for (const { waiting, open, decoder } of this.hosted.values()) {
      const place = waiting.findIndex((one) => one.id === id);
      if (place >= 0) waiting.splice(place, 1);
      const answer = open.get(id);
      if (answer) decoder.remove(answer.sequence);
      open.delete(id);
    }
  }

  private tell(id: number, event: JobEvent): void {
    this.send({ id, event });
  }

  private refuse(id: number, refusal: Refusal): void {
    this.tell(id, { kind: "refused", refusal });
  }

  /** Step the models in turn until nobody waits; between steps, messages are heard. */
  private async run(): Promise<void> {
    this.running = true;
    const busy = () => [...this.hosted.values()].filter(({ waiting, open }) => waiting.length + open.size > 0);
    for (let now = busy(); now.length > 0; now = busy()) {
      for (const hosted of now) this.advance(hosted);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.running = false;
  }

  private advance(hosted: Hosted): void {
    while (hosted.waiting.length > 0 && this.begin(hosted, hosted.waiting[0])) hosted.waiting.shift();
    try {
      hosted.decoder.step();
      for (const [id, answer] of hosted.open) this.report(hosted, id, answer);
    } catch (error) {
      for (const [id, { sequence }] of hosted.open) {
        hosted.decoder.remove(sequence);
        this.refuse(id, { kind: "failed", message: (error as Error).message });
      }
      hosted.open.clear();
    }
  }

  /** False where there is no room yet. */
  private begin(hosted: Hosted, { id, job }: Hosted["waiting"][number]): boolean {
    try {
      const prompt = promptOf(hosted, job, hosted.room);
      const sequence = hosted.decoder.add(prompt);
      if (!sequence) return false;
      this.tell(id, { kind: "started", nPromptTokens: prompt.ids.length });
      hosted.open.set(id, new Answer(hosted.tokenizer, job, sequence));
    } catch (error) {
      this.refuse(id, refusalOf(error));
    }
    return true;
  }

  private report({ decoder, open }: Hosted, id: number, answer: Answer): void {
    for (const event of answer.news()) this.tell(id, event);
    if (!answer.ended) return;
    decoder.remove(answer.sequence);
    open.delete(id);
  }

  [Symbol.dispose](): void {
    for (const { decoder } of this.hosted.values()) decoder[Symbol.dispose]();
    this.hosted.clear();
  }
}

function host(served: ServedModel, { nTogether, cacheBytes, nDefaultTokens }: HostLimits): Hosted {
  const { nLayers, nKvHeads, headDim, maxPositions } = served.model.config;
  const tokenBytes = 4 * nLayers * 2 * nKvHeads * headDim;
  const nCacheRows = Math.min(nTogether * maxPositions, Math.floor(cacheBytes / tokenBytes));
  if (nCacheRows < 2)
    throw new ModelError("incompatible", [
      `A cache of ${cacheBytes} bytes holds no answer: a token takes ${tokenBytes}.`,
    ]);
  const decoder = openDecoder(served.model, { nSequences: nTogether, nCacheRows, nStepTokens: stepTokens });
  const room = { nTokens: Math.min(maxPositions, nCacheRows), nDefault: nDefaultTokens };
  return { ...served, decoder, room, waiting: [], open: new Map() };
}

function refusalOf(error: unknown): Refusal {
  const { message } = error as Error;
  if (error instanceof RefusedError) return { kind: error.kind, message };
  if (error instanceof TokenizerError) return { kind: "invalid", message };
  const isAsked = error instanceof ModelError && error.kind === "incompatible";
  return { kind: isAsked ? "invalid" : "failed", message };
}
