import { EvaluationError } from "./errors.ts";
import { type Example, type Metric, referenceOf } from "./metrics.ts";

const marked = /####\s*\$?(-?[\d.,]*\d)/;
const anyNumber = /-?(?:\d[\d,]*)?(?:\.\d+|\d)/g;

/**
 * True when the answer's number equals the reference's: the number after "####" (the form of GSM8K, Cobbe et al. 2021), else the
 * last number of the text; commas between digits and zeros at the ends do not count. An answer without a number is wrong.
 * @throws EvaluationError when there is no reference, or it holds no number
 */
export function gsm8kAnswer(name: string): Metric {
  const wanted = (example: Example) => {
    const reference = referenceOf(name, example);
    const number = numberOf(reference);
    if (number !== undefined) return number;
    throw new EvaluationError(`metric ${name}: the reference "${reference}" has no number`);
  };
  return {
    name,
    check: (example) => void wanted(example),
    score: (answer, example) => numberOf(answer) === wanted(example),
  };
}

function numberOf(text: string): number | undefined {
  const found = marked.exec(text)?.[1] ?? text.match(anyNumber)?.at(-1);
  const value = Number(found?.replaceAll(",", "") ?? Number.NaN);
  return Number.isNaN(value) ? undefined : value;
}
