import type { Message } from "@safedelta/data";
import { EvaluationError } from "./errors.ts";
import { type JudgeFormat, requestOf } from "./judgeFormat.ts";

/** What a judge is told in the user's own words, a published rubric for example. */
export interface JudgeWords {
  /** Its system message; none unless given. */
  readonly system?: string;
  /** What it is asked; here or in the system message stand `{request}` and `{answer}`. */
  readonly prompt: string;
}

/**
 * A judge with the user's own words.
 * @param verdict where its number stands: the first group of the last match
 * @throws EvaluationError for words without both places, and a pattern without a group
 */
export function ownJudge({ system, prompt }: JudgeWords, verdict: RegExp): JudgeFormat {
  const said: readonly Message[] = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: prompt },
  ];
  const lacking = ["{request}", "{answer}"].filter((place) => !said.some(({ content }) => content.includes(place)));
  if (lacking.length > 0) throw new EvaluationError(`the words of a judge need ${lacking.join(" and ")} in them`);
  const nGroups = (new RegExp(`${verdict.source}|`, "u").exec("")?.length ?? 1) - 1;
  if (nGroups < 1)
    throw new EvaluationError(`the pattern ${verdict.source} needs a group around the number, as Score: ([1-5])`);
  const everywhere = new RegExp(verdict.source, "gu");
  return {
    name: ownJudgeName,
    kind: "mean",
    subject: `number after ${verdict.source}`,
    maxNewTokens: 512,
    prompt: (example, answer) => {
      const parts: Readonly<Record<string, string>> = { "{request}": requestOf(example), "{answer}": answer };
      const filled = (words: string) => words.replace(/\{request\}|\{answer\}/g, (place) => parts[place]);
      return said.map(({ role, content }) => ({ role, content: filled(content) }));
    },
    parse: (text) => {
      const found = [...text.matchAll(everywhere)].at(-1)?.[1];
      const value = found === undefined || found.trim() === "" ? Number.NaN : Number(found);
      return Number.isFinite(value) ? { value } : undefined;
    },
  };
}

export const ownJudgeName = "judge-own";
