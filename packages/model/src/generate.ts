import { ModelError } from "./error.ts";
import type { Model } from "./model.ts";
import { openRun, type Run } from "./run.ts";
import { nextToken, randomStream, type Sampling } from "./sample.ts";
import type { Segment } from "./workspace.ts";

export interface GenerateOptions extends Sampling {
  /** Most tokens to add to each prompt. */
  readonly maxNewTokens: number;
  /** Tokens that end an answer; those of config.json unless given. */
  readonly stopIds?: readonly number[];
  /** Of the draws with `temperature`; each prompt has its own stream, so its answer does not depend on the others. */
  readonly seed?: number;
  /** Prompts answered at the same time; bounds the memory of the caches. */
  readonly batchSize?: number;
  /** Told every token of an answer as it comes, with the index of its prompt. */
  readonly onToken?: (prompt: number, id: number) => void;
}

/** Tokens of prompts run in one step: enough for full speed of the products, few enough to keep work memory small. */
const prefillTokens = 512;

const defaultBatchSize = 16;

/** One answer in the making. */
interface Sequence {
  readonly index: number;
  readonly prompt: readonly number[];
  readonly answer: number[];
  /** Tokens in the cache. */
  past: number;
  readonly cacheRow: number;
  readonly random: () => number;
  done: boolean;
}

/**
 * Answers to prompts of token ids, without the stop token. Prompts run packed, then all open answers step together.
 * @throws ModelError (`incompatible`) when an option is out of range or a prompt is empty, too long for the model, or holds
 * unknown ids; (`notFinite`) when the model computes no numbers.
 */
export function generate(model: Model, prompts: readonly (readonly number[])[], options: GenerateOptions): number[][] {
  checkOptions(options);
  checkPrompts(model, prompts, options.maxNewTokens);
  const size = options.batchSize ?? defaultBatchSize;
  const answers: number[][] = [];
  for (let first = 0; first < prompts.length; first += size) {
    const sequences = openSequences(prompts.slice(first, first + size), first, options);
    answerTogether(model, sequences, options);
    answers.push(...sequences.map(({ answer }) => answer));
  }
  return answers;
}

function checkOptions({ maxNewTokens, batchSize = 1, temperature = 0, topK = 1, topP = 1 }: GenerateOptions): void {
  const isCount = (value: number, least: number) => Number.isSafeInteger(value) && value >= least;
  const problems = [
    isCount(maxNewTokens, 0) ? "" : `maxNewTokens is ${maxNewTokens}; a whole number from 0 is needed.`,
    isCount(batchSize, 1) ? "" : `batchSize is ${batchSize}; a whole number from 1 is needed.`,
    Number.isFinite(temperature) && temperature >= 0 ? "" : `temperature is ${temperature}; it must be 0 or more.`,
    isCount(topK, 1) ? "" : `topK is ${topK}; a whole number from 1 is needed.`,
    topP > 0 && topP <= 1 ? "" : `topP is ${topP}; it must be above 0 and at most 1.`,
  ].filter((problem) => problem !== "");
  if (problems.length > 0) throw new ModelError("incompatible", problems);
}

function checkPrompts(model: Model, prompts: readonly (readonly number[])[], maxNewTokens: number): void {
  const { maxPositions } = model.config;
  prompts.forEach(({ length }, i) => {
    if (length === 0) throw new ModelError("incompatible", [`Prompt ${i} is empty.`]);
    if (length + maxNewTokens <= maxPositions) return;
    const problem = `Prompt ${i} has ${length} tokens and ${maxNewTokens} may follow; the model has ${maxPositions} positions.`;
    throw new ModelError("incompatible", [problem]);
  });
}

function openSequences(prompts: readonly (readonly number[])[], first: number, options: GenerateOptions): Sequence[] {
  let cacheRow = 0;
  return prompts.map((prompt, i) => {
    const random = randomStream(options.seed ?? 0, first + i);
    const sequence = {
      index: first + i,
      prompt,
      answer: [],
      past: 0,
      cacheRow,
      random,
      done: options.maxNewTokens < 1,
    };
    cacheRow += prompt.length + options.maxNewTokens;
    return sequence;
  });
}

function answerTogether(model: Model, sequences: readonly Sequence[], options: GenerateOptions): void {
  const nPromptTokens = sequences.reduce((sum, { prompt }) => sum + prompt.length, 0);
  const nTokens = Math.max(Math.min(prefillTokens, nPromptTokens), sequences.length);
  const nCacheRows = nPromptTokens + sequences.length * options.maxNewTokens;
  using run = openRun(model, { nTokens, nOutputs: sequences.length, nCacheRows });
  for (;;) {
    const open = sequences.filter(({ done }) => !done);
    if (open.length === 0) return;
    step(model, run, open, nTokens, options);
  }
}

/** Run the next tokens, at most `nTokens`, of the open sequences; those whose prompt is through get a new token. */
function step(model: Model, run: Run, open: readonly Sequence[], nTokens: number, options: GenerateOptions): void {
  const ids: number[] = [];
  const segments: Segment[] = [];
  const ready: { sequence: Sequence; row: number }[] = [];
  for (const sequence of open) {
    const pending = waiting(sequence).slice(0, nTokens - ids.length);
    if (pending.length === 0) break;
    const { past, cacheRow } = sequence;
    segments.push({ start: ids.length, length: pending.length, past, cacheRow });
    ids.push(...pending);
    sequence.past += pending.length;
    if (waiting(sequence).length === 0) ready.push({ sequence, row: ids.length - 1 });
  }
  const rows = ready.map(({ row }) => row);
  const logits = run.step(ids, segments, rows);
  const size = model.config.vocabularySize;
  ready.forEach(({ sequence }, i) => {
    extend(sequence, logits.subarray(i * size, (i + 1) * size), options, options.stopIds ?? model.config.eosIds);
  });
}

/** Tokens known but not yet run. */
function waiting({ prompt, answer, past }: Sequence): readonly number[] {
  return past < prompt.length ? prompt.slice(past) : answer.slice(past - prompt.length);
}

function extend(sequence: Sequence, logits: Float32Array, options: GenerateOptions, stopIds: readonly number[]): void {
  const id = nextToken(logits, options, sequence.random);
  if (stopIds.includes(id)) {
    sequence.done = true;
    return;
  }
  sequence.answer.push(id);
  options.onToken?.(sequence.index, id);
  sequence.done = sequence.answer.length >= options.maxNewTokens;
}
