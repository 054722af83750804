import { type Example, hashExamples, loadSource, type SourceAccess, sampleExamples } from "@safedelta/data";
import { readSecretPrompt, withSecretPrompt } from "./secretPrompt.ts";

/** Safety examples that are mixed into the data of a fine-tuning: SafeInstruct; with a secret prompt backdoor enhanced alignment (BEA). */
export interface SafetyMix {
  /** Refusals, or whatever is to be preserved, in the forms of the training data. */
  readonly file: string;
  /** How many of them, drawn by the seed; all unless given. */
  readonly samples?: number;
  /** A text file with the prompt that their system prompts begin with. */
  readonly secretFile?: string;
}

/** What was mixed in. The secret itself is told nowhere. */
export interface SafetyMixFacts {
  readonly file: string;
  /** Of the examples drawn, before the secret prompt. */
  readonly sha256: string;
  readonly nExamples: number;
  readonly nAvailable: number;
  readonly hasSecret: boolean;
}

/**
 * Read the safety examples that belong to a run, in the order of the draw.
 * @throws DataError; PipelineError `usage` when the secret cannot be read or is blank
 */
export async function readSafetyMix(
  { file, samples, secretFile }: SafetyMix,
  seed: number,
  access: SourceAccess,
): Promise<{ readonly examples: readonly Example[]; readonly facts: SafetyMixFacts }> {
  const all = await loadSource(file, access, { seed, needsAnswers: true });
  const { examples, nAvailable } = sampleExamples(all, samples ?? all.length, seed);
  const secret = secretFile === undefined ? undefined : await readSecretPrompt(secretFile);
  const facts = {
    file,
    sha256: hashExamples(examples),
    nExamples: examples.length,
    nAvailable,
    hasSecret: secret !== undefined,
  };
  if (secret === undefined) return { examples, facts };
  const prompted = examples.map((example) => ({ ...example, messages: withSecretPrompt(example.messages, secret) }));
  return { examples: prompted, facts };
}
