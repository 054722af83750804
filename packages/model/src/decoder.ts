import type { ModelConfig } from "./config.ts";
import { ModelError } from "./error.ts";
import { type ScoredToken, scoreToken } from "./logProbabilities.ts";
import type { Model } from "./model.ts";
import { checkPrompt, isCount, type Prompt } from "./prompt.ts";
import { RowRanges } from "./rowRanges.ts";
import { openRun, type Run } from "./run.ts";
import { nextToken, randomStream } from "./sample.ts";
import { sharedPrefix } from "./sharedPrefix.ts";
import type { Segment } from "./workspace.ts";

/** A new token of an answer; `score` where log-probabilities are wanted. */
export interface NewToken {
  readonly id: number;
  readonly score?: ScoredToken;
}

/** A prompt and what has been made of it so far. */
export interface Sequence {
  readonly prompt: Prompt;
  readonly tokens: readonly NewToken[];
  /** With `scorePrompt`: of each token of the prompt but the first, which nothing precedes. */
  readonly promptScores: readonly ScoredToken[];
  /** Why it has ended; undefined while it goes on. */
  readonly finish?: "stop" | "length";
  /** The token that stopped it, which is not among `tokens`. */
  readonly stopToken?: NewToken;
  /** Why it could not go on; it is forgotten then. */
  readonly failure?: ModelError;
}

/** The most that is worked on at the same time; all memory is taken when a decoder is opened. */
export interface DecoderSize {
  /** Sequences that are open together. */
  readonly nSequences: number;
  /** Tokens of all open sequences, those that may still come included: rows of each layer's cache. */
  readonly nCacheRows: number;
  /** Tokens that one step runs. */
  readonly nStepTokens?: number;
}

/** Answers prompts together, a token of each a step; they may come and go between steps. */
export interface Decoder extends Disposable {
  /** Take up a prompt; undefined where there is no room for it now. @throws ModelError as `checkPrompt` */
  add(prompt: Prompt): Sequence | undefined;
  /** Forget a sequence that is not wanted any more. What has ended is forgotten by itself. */
  remove(sequence: Sequence): void;
  /**
   * Run one step.
   * @throws ModelError (`notFinite`) when the model computes no numbers for a sequence, whose `failure` it is; the others are not
   * affected and can be stepped on
   */
  step(): void;
  readonly nOpen: number;
}

/** Tokens of one step unless given: enough for full speed of the products, few enough to keep work memory small. */
export const defaultStepTokens = 512;

/** Most positions of prompts that one step scores: their logits lie in memory, vocabularySize numbers each. */
const scoredRows = 32;

/** A sequence with what the decoder keeps of it. */
interface Open extends Sequence {
  readonly tokens: NewToken[];
  readonly promptScores: ScoredToken[];
  finish?: "stop" | "length";
  stopToken?: NewToken;
  failure?: ModelError;
  readonly cacheRow: number;
  readonly random: () => number;
  readonly stopIds: readonly number[];
  /** Tokens in the cache. */
  past: number;
}

/** Rows of one step: what runs, and whose logits are for what. */
interface Plan {
  readonly ids: number[];
  readonly segments: Segment[];
  readonly outputs: { readonly row: number; readonly open: Open; readonly target: number | undefined }[];
}

/**
 * Memory to answer prompts together.
 * @throws EngineMemoryError when caches and work matrices do not fit; ModelError (`incompatible`) for a size below 1
 */
export function openDecoder(model: Model, size: DecoderSize): Decoder {
  const { nSequences, nCacheRows, nStepTokens = defaultStepTokens } = size;
  const wrong = Object.entries({ nSequences, nCacheRows, nStepTokens }).filter(([, n]) => !isCount(n, 1));
  if (wrong.length > 0)
    throw new ModelError(
      "incompatible",
      wrong.map(([name, n]) => `${name} is ${n}; a whole number from 1 is needed.`),
    );
  const nTokens = Math.max(nStepTokens, nSequences);
  const run = openRun(model, { nTokens, nOutputs: nSequences + scoredRows, nCacheRows });
  return new ModelDecoder(model.config, run, nSequences, new RowRanges(nCacheRows), nTokens);
}

class ModelDecoder implements Decoder {
  private readonly open: Open[] = [];

  constructor(
    private readonly config: ModelConfig,
    private readonly run: Run,
    private readonly nSequences: number,
    private readonly ranges: RowRanges,
    private readonly nTokens: number,
  ) {}

  get nOpen(): number {
    return this.open.length;
  }

  add(prompt: Prompt): Sequence | undefined {
    checkPrompt(this.config, prompt);
    if (this.open.length === this.nSequences) return undefined;
    const cacheRow = this.ranges.take(rowsOf(prompt));
    if (cacheRow === undefined) return undefined;
    const stopIds = prompt.stopIds ?? this.config.eosIds;
    const random = randomStream(prompt.seed ?? 0, prompt.stream ?? 0);
    const open: Open = { prompt, tokens: [], promptScores: [], cacheRow, random, stopIds, past: 0 };
    this.open.push(open);
    if (nToRun(open) === 0) this.end(open, "length");
    return open;
  }

  remove(sequence: Sequence): void {
    const place = this.open.indexOf(sequence as Open);
    if (place < 0) return;
    const [open] = this.open.splice(place, 1);
    this.ranges.free(open.cacheRow, rowsOf(open.prompt));
  }

  private end(open: Open, finish: "stop" | "length"): void {
    open.finish = finish;
    this.remove(open);
  }

  step(): void {
    const plan = this.plan();
    if (plan.ids.length === 0) return;
    const logits = this.run.step(
      plan.ids,
      plan.segments,
      plan.outputs.map(({ row }) => row),
    );
    const size = this.config.vocabularySize;
    plan.outputs.forEach(({ open, target }, i) => {
      const own = logits.subarray(i * size, (i + 1) * size);
      if (target === undefined) this.extend(open, own);
      else open.promptScores.push(scoreToken(own, target, open.prompt.nTop ?? 0));
    });
    for (const open of [...this.open]) if (nToRun(open) === 0) this.end(open, "length");
    const failed = plan.outputs.find(({ open }) => open.failure);
    if (failed) throw failed.open.failure;
  }

  /** Answers go before prompts, so that a long prompt does not hold up what is being written. */
  private plan(): Plan {
    const plan: Plan = { ids: [], segments: [], outputs: [] };
    let nScored = 0;
    const inPrompt = ({ past, prompt }: Open) => Number(past < prompt.ids.length);
    // Before anything is planned, since what is planned has not run yet.
    const ready = this.open.filter((open) => !this.waits(open));
    for (const open of ready.toSorted((a, b) => inPrompt(a) - inPrompt(b))) {
      const room = this.nTokens - plan.ids.length;
      const take = Math.min(nToRun(open), room, scores(open) ? scoredRows - nScored : room);
      if (take < 1) continue;
      nScored += addTo(plan, open, take);
    }
    return plan;
  }

  /** Whether a sequence waits for one before it that begins alike; what such a one has run is taken over. */
  private waits(open: Open): boolean {
    const shared = sharedPrefix(open, this.open.slice(0, this.open.indexOf(open)));
    if (shared === undefined || shared === "wait") return shared === "wait";
    this.run.copyCache(shared.from.cacheRow, open.cacheRow, shared.length);
    open.past = shared.length;
    return false;
  }

  private extend(open: Open, logits: Float32Array): void {
    try {
      this.append(open, logits);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      open.failure = error;
      this.remove(open);
    }
  }

  private append(open: Open, logits: Float32Array): void {
    const { prompt, tokens } = open;
    const id = nextToken(logits, prompt, open.random);
    const token = { id, score: prompt.nTop === undefined ? undefined : scoreToken(logits, id, prompt.nTop) };
    if (open.stopIds.includes(id)) {
      open.stopToken = token;
      this.end(open, "stop");
    } else if (tokens.push(token) >= prompt.maxNewTokens) this.end(open, "length");
  }

  [Symbol.dispose](): void {
    this.run[Symbol.dispose]();
  }
}

/** True while positions of the prompt are to be scored. */
function scores({ prompt, past }: Open): boolean {
  return prompt.scorePrompt === true && past < prompt.ids.length;
}

/** Put the next tokens of a sequence into a plan; gives how many positions are scored. */
function addTo(plan: Plan, open: Open, take: number): number {
  const { prompt, tokens, past, cacheRow } = open;
  const start = plan.ids.length;
  const scored = scores(open) ? Math.min(take, prompt.ids.length - 1 - past) : 0;
  for (let i = 0; i < take; i++)
    plan.ids.push(past + i < prompt.ids.length ? prompt.ids[past + i] : tokens[past + i - prompt.ids.length].id);
  plan.segments.push({ start, length: take, past, cacheRow });
  for (let i = 0; i < scored; i++) plan.outputs.push({ row: start + i, open, target: prompt.ids[past + i + 1] });
  open.past += take;
  const isThrough = open.past === prompt.ids.length + tokens.length;
  if (isThrough && prompt.maxNewTokens > 0) plan.outputs.push({ row: start + take - 1, open, target: undefined });
  return scored;
}

/** Tokens known but not yet run. Without an answer to come, the last of the prompt need not run; nor any, unscored. */
function nToRun({ prompt, tokens, past }: Open): number {
  if (prompt.maxNewTokens > 0) return prompt.ids.length + tokens.length - past;
  return prompt.scorePrompt ? prompt.ids.length - 1 - past : 0;
}

/** Rows of the cache that a prompt may come to need. */
function rowsOf({ ids, maxNewTokens }: Prompt): number {
  return ids.length + maxNewTokens;
}
