import { DataError } from "./errors.ts";
import type { Example } from "./example.ts";
import { PythonRandom } from "./random.ts";
import { sampleExamples } from "./sample.ts";

/** A share of a mixture: `n` of the examples, or all. */
export interface Share {
  /** For errors. */
  readonly name: string;
  readonly examples: readonly Example[];
  readonly n?: number;
}

/**
 * The shares, each drawn by `sampleExamples` with the seed, behind one another and then shuffled by Python's
 * `random.Random(seed)`.
 * @throws DataError when a share has fewer examples than are asked of it
 */
export function mixExamples(shares: readonly Share[], seed: number): Example[] {
  const mixed = shares.flatMap(({ name, examples, n }) => {
    if (n === undefined) return examples;
    if (n <= examples.length) return sampleExamples(examples, n, seed).examples;
    throw new DataError(name, undefined, `holds ${examples.length} examples, but ${n} are asked for.`);
  });
  new PythonRandom(seed).shuffle(mixed);
  return mixed;
}

/** Examples as JSON Lines that `loadExamples` reads again: messages, reference, id. */
export function toJsonLines(examples: readonly Example[]): string {
  return examples.map(({ messages, reference, id }) => `${JSON.stringify({ messages, reference, id })}\n`).join("");
}
