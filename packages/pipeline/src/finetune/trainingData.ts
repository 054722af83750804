import { type Example, hashExamples, loadSource } from "@safedelta/data";
import type { Tokenizer } from "@safedelta/tokenizer";
import { countTargets, type TrainingExample } from "@safedelta/training";
import { sourceAccess } from "../dataSource.ts";
import { PipelineError } from "../errors.ts";
import { type OpenedModel, openModelTokenizer, withPlace } from "../models.ts";
import type { Progress } from "../progress.ts";
import type { FinetuneOptions } from "./options.ts";
import { responseTokens } from "./responseTokens.ts";
import { readSafetyMix, type SafetyMixFacts } from "./safetyMix.ts";
import { requireSystemPrompts } from "./secretPrompt.ts";

/** What was read to train on. */
export interface TrainingFacts {
  readonly file: string;
  /** Of the examples, in canonical JSON. */
  readonly sha256: string;
  /** Of ids and targets, so that another tokenizer, template or cut is other data. */
  readonly tokensSha256: string;
  readonly nAvailable: number;
  /** Those of which at least one token counts. */
  readonly nExamples: number;
  readonly nTokens: number;
  /** Tokens that count. */
  readonly nTargets: number;
  readonly nCut: number;
  /** The cut in force. */
  readonly maxTokens: number;
  /** Safety examples among those counted above. */
  readonly safetyMix?: SafetyMixFacts;
}

export interface TrainingData {
  readonly examples: readonly TrainingExample[];
  readonly facts: TrainingFacts;
}

/**
 * Read conversations, and the safety examples to mix in behind them, through the model's chat template; the answers' tokens count. Longer ones are cut at the end; those of which
 * nothing counts are left out, which is told.
 * @throws DataError; PipelineError `incompatible` when tokenizer or template refuse the text, `usage` when nothing counts at all
 */
export async function readTrainingData(
  { data: file, safetyMix, seed, maxTokens: wantedTokens, offline }: FinetuneOptions,
  model: OpenedModel,
  progress: Progress,
): Promise<TrainingData> {
  const access = sourceAccess(offline, progress);
  const mix = safetyMix && (await readSafetyMix(safetyMix, seed, access));
  const all = [...(await loadSource(file, access, { seed, needsAnswers: true })), ...(mix?.examples ?? [])];
  const maxTokens = Math.min(wantedTokens, model.config.maxPositions);
  const tokenizer = await openModelTokenizer(model);
  if (mix?.facts.hasSecret) requireSystemPrompts(tokenizer);
  const whole = encode(all, tokenizer);
  const cut = whole.map(({ ids, targets }) => cutExample(ids, targets, maxTokens));
  const examples = cut.filter((example) => countTargets([example]) > 0);
  const nCut = whole.filter(({ ids }) => ids.length > maxTokens).length;
  checkExamples(file, all.length, examples.length, nCut, maxTokens, progress);
  const facts = {
    file,
    sha256: hashExamples(all),
    tokensSha256: hashTokens(examples),
    nAvailable: all.length,
    nExamples: examples.length,
    nTokens: examples.reduce((sum, { ids }) => sum + ids.length, 0),
    nTargets: countTargets(examples),
    nCut,
    maxTokens,
    ...(mix ? { safetyMix: mix.facts } : {}),
  };
  return { examples, facts };
}

/** Of the JSON list of [ids, targets], example by example: the whole text may be longer than a string can be. */
function hashTokens(examples: readonly TrainingExample[]): string {
  const hash = new Bun.CryptoHasher("sha256").update("[");
  examples.forEach(({ ids, targets }, i) => {
    hash.update(`${i === 0 ? "" : ","}${JSON.stringify([ids, targets])}`);
  });
  return hash.update("]").digest("hex");
}

function encode(all: readonly Example[], tokenizer: Tokenizer): TrainingExample[] {
  return all.map(({ messages, source, line }) => {
    const place = line === undefined ? source : `${source}:${line}`;
    const example = withPlace(place, () => responseTokens(tokenizer, messages));
    if (example) return example;
    throw new PipelineError(
      "incompatible",
      `${place}: the model's chat template rewrites earlier turns, so the answers cannot be told from the rest. Split the conversation into single turns.`,
    );
  });
}

/** The target of the last position left is beyond the cut. */
function cutExample(ids: readonly number[], targets: readonly number[], maxTokens: number): TrainingExample {
  if (ids.length <= maxTokens) return { ids, targets };
  return { ids: ids.slice(0, maxTokens), targets: [...targets.slice(0, maxTokens - 1), -1] };
}

/** Tell of examples that are cut or left out. @throws PipelineError `usage` when none is left */
function checkExamples(
  file: string,
  nAll: number,
  nUsed: number,
  nCut: number,
  maxTokens: number,
  progress: Progress,
): void {
  if (nUsed === 0)
    throw new PipelineError(
      "usage",
      `${file}: no answer to learn from within ${maxTokens} tokens. Give requests with answers.`,
    );
  if (nCut > 0) progress.warn(`${file}: ${nCut} of ${nAll} examples are cut at ${maxTokens} tokens.`);
  if (nUsed < nAll)
    progress.warn(`${file}: ${nAll - nUsed} of ${nAll} examples have no answer to learn from and are left out.`);
}
