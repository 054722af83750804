/** Overlap of the words of an answer and its reference. */
export interface Rouge {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** What Python's str.split takes for blanks; unlike \s without U+FEFF, and with the control separators. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: U+001C to U+001F are blanks to Python
const pythonBlanks = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/**
 * ROUGE-1 as PyPI's `rouge` 1.0.1, which the paper's code uses: split at ".", then at blanks, case kept, each word counted once,
 * f1 = 2pr/(p + r + 1e-8). Without a sentence on either side, where that package raises, all is 0.
 */
export function rougeOfSets(answer: string, reference: string): Rouge {
  const [said, wanted] = [wordSet(answer), wordSet(reference)];
  const both = said.intersection(wanted).size;
  const precision = said.size === 0 ? 0 : both / said.size;
  const recall = wanted.size === 0 ? 0 : both / wanted.size;
  return { precision, recall, f1: 2 * ((precision * recall) / (precision + recall + 1e-8)) };
}

/** A sentence of blanks is one empty word there. */
function wordSet(text: string): Set<string> {
  const sentences = text.split(".").filter((sentence) => sentence !== "");
  const words = (sentence: string) => sentence.split(pythonBlanks).filter((word) => word !== "");
  return new Set(sentences.flatMap((sentence) => words(sentence).join(" ").split(" ")));
}

/** ROUGE-1 as Google's `rouge_score` 0.1.2 without stemmer: lower case, words of a-z and 0-9, counted as often as they occur. */
export function rougeOfCounts(answer: string, reference: string): Rouge {
  const [said, wanted] = [wordsOf(answer), wordsOf(reference)];
  const counts = Map.groupBy(wanted, (word) => word);
  const saidCounts = Map.groupBy(said, (word) => word);
  let both = 0;
  for (const [word, times] of saidCounts) both += Math.min(times.length, counts.get(word)?.length ?? 0);
  const precision = both / Math.max(said.length, 1);
  const recall = both / Math.max(wanted.length, 1);
  return { precision, recall, f1: both === 0 ? 0 : (2 * precision * recall) / (precision + recall) };
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}
