import { type Decoder, defaultStepTokens, openDecoder, type Sequence } from "./decoder.ts";
import { ModelError } from "./error.ts";
import type { Model } from "./model.ts";
import { checkPrompt, isCount, optionProblems, type Prompt } from "./prompt.ts";

/** How prompts are answered; each draws from a stream of the seed of its own, so its answer depends on the others by rounding alone. */
export interface GenerateOptions extends Omit<Prompt, "ids" | "stream"> {
  /** Prompts answered at the same time; bounds the memory of the caches. */
  readonly batchSize?: number;
  /** Which stream each prompt draws from; prompt i from stream i unless given. */
  readonly streams?: readonly number[];
  /** Told every token of an answer as it comes, with the index of its prompt. */
  readonly onToken?: (prompt: number, id: number) => void;
}

const defaultBatchSize = 16;

/**
 * Answers to prompts of token ids, without the stop token. Prompts run packed, what they begin with in common once, then all open answers step together.
 * @throws ModelError (`incompatible`) when an option is out of range or a prompt is empty, too long for the model, or holds
 * unknown ids; (`notFinite`) when the model computes no numbers.
 */
export function generate(model: Model, prompts: readonly (readonly number[])[], options: GenerateOptions): number[][] {
  return generateScored(model, prompts, options).map(({ tokens }) => tokens.map(({ id }) => id));
}

/** As `generate`, with log-probabilities (`nTop`, `scorePrompt`) and why each answer ended. */
export function generateScored(
  model: Model,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): Sequence[] {
  const { batchSize = defaultBatchSize, streams, onToken = () => {}, ...rest } = options;
  const problems = optionProblems(rest);
  if (!isCount(batchSize, 1)) problems.push(`batchSize is ${batchSize}; a whole number from 1 is needed.`);
  if (problems.length > 0) throw new ModelError("incompatible", problems);
  const all = prompts.map((ids, i): Prompt => ({ ...rest, ids, stream: streams?.[i] ?? i }));
  all.forEach((prompt, i) => {
    checkPrompt(model.config, prompt, `Prompt ${i + 1}`);
  });
  const answers: Sequence[] = [];
  for (let first = 0; first < all.length; first += batchSize)
    answers.push(
      ...answerTogether(model, all.slice(first, first + batchSize), (i, id) => {
        onToken(first + i, id);
      }),
    );
  return answers;
}

function answerTogether(
  model: Model,
  prompts: readonly Prompt[],
  onToken: (prompt: number, id: number) => void,
): Sequence[] {
  using decoder = openDecoderFor(model, prompts);
  const sequences = prompts.map((prompt) => decoder.add(prompt) as Sequence);
  const told = sequences.map(() => 0);
  while (decoder.nOpen > 0) {
    decoder.step();
    sequences.forEach(({ tokens }, i) => {
      while (told[i] < tokens.length) onToken(i, tokens[told[i]++].id);
    });
  }
  return sequences;
}

/** A decoder with just enough memory for these prompts. */
export function openDecoderFor(model: Model, prompts: readonly Prompt[]): Decoder {
  const nPromptTokens = prompts.reduce((sum, { ids }) => sum + ids.length, 0);
  const nNewTokens = prompts.reduce((sum, { maxNewTokens }) => sum + maxNewTokens, 0);
  const nStepTokens = Math.min(defaultStepTokens, nPromptTokens);
  return openDecoder(model, { nSequences: prompts.length, nCacheRows: nPromptTokens + nNewTokens, nStepTokens });
}
