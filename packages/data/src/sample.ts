import type { Example } from "./example.ts";
import { PythonRandom } from "./random.ts";

/**
 * `n` examples as the official code draws them (llama2/safedelta/safedelta_runner.py, get_safe_data): the file's order
 * shuffled by Python's `random.Random(seed)`, then the first n. All of them, shuffled, when there are fewer; `nAvailable` is
 * how many there were.
 * @throws RangeError when n is no positive integer or the seed no integer
 */
export function sampleExamples(
  examples: readonly Example[],
  n: number,
  seed: number,
): { examples: Example[]; nAvailable: number } {
  if (!Number.isSafeInteger(n) || n < 1) throw new RangeError(`The number of examples must be positive, is ${n}.`);
  const shuffled = [...examples];
  new PythonRandom(seed).shuffle(shuffled);
  return { examples: shuffled.slice(0, n), nAvailable: examples.length };
}
