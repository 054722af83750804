import { DataError } from "./errors.ts";
import type { Example } from "./example.ts";
import { PythonRandom } from "./random.ts";
import { sampleExamples } from "./sample.ts";

/** What a mixture draws of a data source: `n` of its examples, or all. */
export interface Draw {
  /** How the source is spelled. */
  readonly name: string;
  readonly n?: number;
}

/** A draw with what it draws from. */
export interface Share extends Draw {
  readonly examples: readonly Example[];
}

/** Read `SOURCE[:N]`: a number after the last colon is how many; other colons belong to the source. @throws DataError for :0 */
export function parseDraw(word: string): Draw {
  const [, name = word, digits] = /^(.+):(\d+)$/.exec(word) ?? [];
  if (digits === undefined) return { name };
  if (Number(digits) > 0) return { name, n: Number(digits) };
  throw new DataError(word, undefined, "write SOURCE:N, N being 1 or more.");
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
