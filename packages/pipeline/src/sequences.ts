import {
  type Example,
  hashExamples,
  loadSource,
  type Message,
  rotateSystemPrompts,
  sampleExamples,
  systemPromptRotations,
} from "@safedelta/data";
import { type Tokenizer, TokenizerError } from "@safedelta/tokenizer";
import { sourceAccess } from "./dataSource.ts";
import { PipelineError } from "./errors.ts";
import { sha256 } from "./files.ts";
import { type OpenedModel, openModelTokenizer, withPlace } from "./models.ts";
import type { Progress } from "./progress.ts";
import { type CountedFacts, type TokenCounting, weighTokens } from "./tokenWeights.ts";

/** Which examples are read, how they become tokens, and which of these count. */
export interface DataOptions extends TokenCounting {
  /** A file, or a data set by name (`loadSource`). */
  readonly file: string;
  /** At most this many examples, drawn with `seed`. */
  readonly samples: number;
  readonly seed: number;
  /** Longer sequences are cut at the end; at the model's positions where those are fewer. */
  readonly maxTokens: number;
  /**
   * `official`: the rotation of the official code, put before each example. `none`: the messages as they are. `auto`: official
   * where no example brings a system message of its own and the chat template shows one, else none.
   */
  readonly systemPrompts: "auto" | "official" | "none";
}

/** What was read: printed, and kept beside the result. */
export interface DataFacts extends CountedFacts {
  readonly file: string;
  /** Of the sampled examples, in canonical JSON. */
  readonly sha256: string;
  /** Of the token ids, so that another tokenizer or chat template is other data. */
  readonly tokensSha256: string;
  readonly nAvailable: number;
  readonly nExamples: number;
  readonly nTokens: number;
  /** Sequences that were cut at maxTokens. */
  readonly nCut: number;
  readonly seed: number;
  /** The cut in force: what was asked for, or the model's positions. */
  readonly maxTokens: number;
  readonly systemPrompts: "official" | "none";
}

/** Token sequences of a data set, one an example. */
export interface Sequences {
  readonly ids: readonly (readonly number[])[];
  /** How often each token counts; undefined: once. */
  readonly weights?: readonly (readonly number[])[];
  readonly facts: DataFacts;
}

/**
 * Read, sample and tokenise examples. Whole conversations are used: prompt and answer, template markers included, no padding.
 * Examples without an answer, and those longer than the model's positions, are told as warnings.
 * @throws DataError, CheckpointError; PipelineError `incompatible` when the model's tokenizer or its template refuses the text, `usage` when the
 * system prompts cannot be applied or no example has an answer
 */
export async function readSequences(
  options: DataOptions,
  model: OpenedModel,
  offline: boolean,
  progress: Progress,
): Promise<Sequences> {
  const tokenizer = await openModelTokenizer(model);
  const { file, seed } = options;
  const all = await loadSource(file, sourceAccess(offline, progress), { seed, needsAnswers: true });
  const { examples, nAvailable } = sampleExamples(all, options.samples, seed);
  checkAnswers(file, examples, progress);
  const systemPrompts = chooseSystemPrompts(options, examples, tokenizer);
  const asked = systemPrompts === "official" ? rotateSystemPrompts(examples, systemPromptRotations.official) : examples;
  const encode = ({ messages }: Example) => tokenizer.encodeChat(messages, { addGenerationPrompt: false });
  const whole = withPlace(options.file, () => asked.map(encode));
  const { ids, nCut, maxTokens } = cut(whole, options, model.config.maxPositions, progress);
  checkCutAnswers(options, asked, whole, maxTokens, tokenizer, progress);
  const conversations = asked.map(({ messages }) => messages);
  const counted = withPlace(options.file, () => weighTokens(ids, conversations, tokenizer, options));
  const facts: DataFacts = {
    file: options.file,
    sha256: hashExamples(examples),
    tokensSha256: sha256(JSON.stringify(ids)),
    nAvailable,
    nExamples: ids.length,
    nTokens: ids.reduce((sum, sequence) => sum + sequence.length, 0),
    nCut,
    seed: options.seed,
    maxTokens,
    systemPrompts,
    ...counted.facts,
  };
  return { ids, weights: counted.weights, facts };
}

/** Sequences no longer than asked for, nor than the model's positions, which is told. */
function cut(
  whole: readonly (readonly number[])[],
  { file, maxTokens: wanted }: DataOptions,
  maxPositions: number,
  progress: Progress,
) {
  const maxTokens = Math.min(wanted, maxPositions);
  const ids = whole.map((sequence) => sequence.slice(0, maxTokens));
  const nCut = whole.filter((sequence) => sequence.length > maxTokens).length;
  if (nCut > 0 && maxPositions < wanted)
    progress.warn(`${file}: ${nCut} of ${ids.length} examples are cut at the model's ${maxPositions} positions.`);
  return { ids, nCut, maxTokens };
}

/**
 * An example that is cut before its answer begins tells nothing of what the model shall go on saying.
 * @throws PipelineError `usage` when none is left
 */
function checkCutAnswers(
  { file, maxTokens: wanted }: DataOptions,
  examples: readonly Example[],
  whole: readonly (readonly number[])[],
  maxTokens: number,
  tokenizer: Tokenizer,
  progress: Progress,
): void {
  const endsBefore = ({ messages }: Example) => {
    const before = messages.slice(
      0,
      messages.findIndex(({ role }) => role === "assistant"),
    );
    return withPlace(file, () => tokenizer.encodeChat(before, { addGenerationPrompt: true })).length >= maxTokens;
  };
  const cutOnes = examples.filter((_, i) => (whole[i] ?? []).length > maxTokens);
  const nBefore = cutOnes.filter(({ messages }) => messages.some(isAnswer)).filter(endsBefore).length;
  if (nBefore === 0) return;
  const next = maxTokens < wanted ? "Shorten their requests." : "Give a larger --max-tokens.";
  const told = `${file}: ${nBefore} of ${examples.length} examples are cut at ${maxTokens} tokens, before their answer begins. ${next}`;
  if (nBefore === examples.length) throw new PipelineError("usage", told);
  progress.warn(told);
}

const isAnswer = ({ role, content }: Message) => role === "assistant" && content.trim() !== "";

/** The statistics are of what the model shall go on saying, so requests alone are of no use. @throws PipelineError `usage` */
function checkAnswers(file: string, examples: readonly Example[], progress: Progress): void {
  const nSilent = examples.filter(({ messages }) => !messages.some(isAnswer)).length;
  const need = "The method needs requests with their answers (refusals of the guarded ones).";
  if (nSilent === examples.length) throw new PipelineError("usage", `${file}: no example has an answer. ${need}`);
  if (nSilent > 0) progress.warn(`${file}: ${nSilent} of ${examples.length} examples have no answer. ${need}`);
}

function chooseSystemPrompts(
  { systemPrompts, file }: DataOptions,
  examples: readonly Example[],
  tokenizer: Tokenizer,
): "official" | "none" {
  if (systemPrompts === "none") return "none";
  const ownSystem = examples.some((example) => example.messages.some((message) => message.role === "system"));
  const why = ownSystem ? `${file} has system messages of its own` : whyNoSystemPrompt(tokenizer);
  if (why === undefined) return "official";
  if (systemPrompts === "auto") return "none";
  throw new PipelineError("usage", `--system-prompts official cannot be applied: ${why}. Use --system-prompts none.`);
}

/** Why this model's chat template shows no system message: some templates drop it in silence, Gemma's raises an error. */
export function whyNoSystemPrompt(tokenizer: Tokenizer): string | undefined {
  try {
    return tokenizer.ignoresSystemPrompt() ? "this model's chat template shows no system message" : undefined;
  } catch (error) {
    if (!(error instanceof TokenizerError) || !tokenizer.hasChatTemplate) throw error;
    return `this model's chat template refuses a system message (${error.message})`;
  }
}
