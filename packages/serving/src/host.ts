import { type Decoder, ModelError, nextTurn, openDecoder, type Prompt } from "@safedelta/model";
import { TokenizerError } from "@safedelta/tokenizer";
import { Answer } from "./answer.ts";
import type { FromHost, Job, JobEvent, Refusal, ToHost } from "./job.ts";
import { Prompts, RefusedError, type ServedModel } from "./prompt.ts";
import { TokenTexts } from "./tokenText.ts";

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

/** A job that waits; `prompt` once it has been made. */
interface Waiting {
  readonly id: number;
  readonly job: Job;
  prompt?: Prompt;
}

/** A model with its decoder and those who wait for it. */
interface Hosted extends ServedModel {
  readonly decoder: Decoder;
  readonly prompts: Prompts;
  readonly texts: TokenTexts;
  readonly waiting: Waiting[];
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
    private readonly limits: HostLimits,
    private readonly send: (message: FromHost) => void,
  ) {
    for (const [name, served] of models) this.add(name, served);
  }

  /** One model more; answers that are under way go on. @throws as the constructor */
  add(name: string, served: ServedModel): void {
    this.hosted.set(name, host(served, this.limits));
  }

  receive(message: ToHost): void {
    if (message.kind === "cancel") this.cancel(message.id);
    else this.enqueue(message);
  }

  private enqueue({ ids, jobs }: Extract<ToHost, { kind: "start" }>): void {
    jobs.forEach((job, i) => {
      const hosted = this.hosted.get(job.model);
      if (hosted) hosted.waiting.push({ id: ids[i], job });
      else this.refuse(ids[i], { kind: "invalid", message: `There is no model ${job.model}.` });
    });
    if (!this.running) void this.run();
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
      await nextTurn();
    }
    this.running = false;
  }

  private advance(hosted: Hosted): void {
    this.takeUp(hosted);
    try {
      hosted.decoder.step();
    } catch (error) {
      this.fail(hosted, error as Error);
    }
    for (const [id, answer] of hosted.open) this.report(hosted, id, answer);
  }

  /**
   * Begin the answers of those who wait, in their order, as long as there is room. As soon as there are prompts for one step the
   * others wait for the next, so that making tokens of many prompts holds up neither answers nor messages.
   */
  private takeUp(hosted: Hosted): void {
    const { waiting } = hosted;
    for (let nTokens = 0; waiting.length > 0 && nTokens < stepTokens; waiting.shift()) {
      const nBegun = this.begin(hosted, waiting[0]);
      if (nBegun === undefined) return;
      nTokens += nBegun;
    }
  }

  /** Gives the tokens of the prompt; undefined where there is no room yet. A refusal takes the step, since its prompt may be of any size. */
  private begin({ prompts, decoder, tokenizer, texts, open }: Hosted, waiting: Waiting): number | undefined {
    const { id, job } = waiting;
    try {
      waiting.prompt ??= prompts.of(job);
      const { prompt } = waiting;
      const sequence = decoder.add(prompt);
      if (!sequence) return undefined;
      this.tell(id, { kind: "started", nPromptTokens: prompt.ids.length });
      open.set(id, new Answer(tokenizer, texts, job, sequence));
      return prompt.ids.length;
    } catch (error) {
      this.refuse(id, refusalOf(error));
      return stepTokens;
    }
  }

  /** After a step that failed: the sequences that are to blame, or all where none is. */
  private fail(hosted: Hosted, error: Error): void {
    const all = [...hosted.open];
    const failed = all.filter(([, { sequence }]) => sequence.failure);
    for (const [id, answer] of failed.length > 0 ? failed : all)
      this.giveUp(hosted, id, answer, answer.sequence.failure ?? error);
  }

  private giveUp({ decoder, open }: Hosted, id: number, { sequence }: Answer, { message }: Error): void {
    decoder.remove(sequence);
    open.delete(id);
    this.refuse(id, { kind: "failed", message });
  }

  private report(hosted: Hosted, id: number, answer: Answer): void {
    try {
      for (const event of answer.news()) this.tell(id, event);
      if (!answer.ended) return;
      hosted.decoder.remove(answer.sequence);
      hosted.open.delete(id);
    } catch (error) {
      this.giveUp(hosted, id, answer, error as Error);
    }
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
  return {
    ...served,
    decoder,
    prompts: new Prompts(served, room),
    texts: new TokenTexts(served.tokenizer),
    waiting: [],
    open: new Map(),
  };
}

function refusalOf(error: unknown): Refusal {
  const { message } = error as Error;
  if (error instanceof RefusedError) return { kind: error.kind, message };
  if (error instanceof TokenizerError) return { kind: "invalid", message };
  const isAsked = error instanceof ModelError && error.kind === "incompatible";
  return { kind: isAsked ? "invalid" : "failed", message };
}
