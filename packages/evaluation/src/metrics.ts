import type { Example as DataExample } from "@safedelta/data";
import { EvaluationError } from "./errors.ts";

/** One line of an evaluation set: a conversation whose last turn is to be answered, and the right answer where there is one. */
export interface Example extends Pick<DataExample, "messages" | "reference"> {
  /** The answer that the data have: what a proxy without generation looks at. */
  readonly shown?: string;
}

/** A yes-or-no judgement of one answer; its rate is what a table shows. */
export interface Metric {
  readonly name: string;
  /** Throws what `score` would throw of the example alone, so that no answer is asked for in vain. */
  check?(example: Example): void;
  score(answer: string, example: Example): boolean;
}

/** True when the answer contains one of `phrases`, case and all (a refusal, when the phrases are a model's refusals). */
export function containsPhrase(name: string, phrases: readonly string[]): Metric {
  if (phrases.length === 0 || phrases.includes("")) {
    throw new EvaluationError(`metric ${name}: needs at least one phrase, none of them empty`);
  }
  return { name, score: (answer) => phrases.some((phrase) => answer.includes(phrase)) };
}

/** True when `pattern` occurs in the answer (a leak, when the pattern is what must not be said). Position and flag g are ignored. */
export function matchesPattern(name: string, pattern: RegExp): Metric {
  return { name, score: (answer) => answer.search(pattern) >= 0 };
}

/** True when the answer equals the example's `reference`, blanks around both ignored. Throws EvaluationError without a reference. */
export function exactAnswer(name: string): Metric {
  return {
    name,
    check: (example) => void referenceOf(name, example),
    score: (answer, example) => answer.trim() === referenceOf(name, example).trim(),
  };
}

/** What an answer is held against. @throws EvaluationError naming the metric and the example when it has none */
export function referenceOf(name: string, example: Example): string {
  if (example.reference !== undefined) return example.reference;
  const prompt = example.messages.at(-1)?.content ?? "";
  throw new EvaluationError(
    `metric ${name}: the example "${prompt}" has no reference to compare with. Add one to the data, or name its column, as FILE#prompt=question,reference=answer`,
  );
}
