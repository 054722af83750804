import { EvaluationError } from "./errors.ts";
import { type JudgeFormat, requestOf } from "./judgeFormat.ts";

/**
 * A judge with the user's own words, a published rubric for example.
 * @param words what it is asked, with `{request}` and `{answer}` in it
 * @param verdict where its number stands: the first group of the last match
 * @throws EvaluationError for words without both places, and a pattern without a group
 */
export function ownJudge(words: string, verdict: RegExp): JudgeFormat {
  const lacking = ["{request}", "{answer}"].filter((place) => !words.includes(place));
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
      return [{ role: "user", content: words.replace(/\{request\}|\{answer\}/g, (place) => parts[place]) }];
    },
    parse: (text) => {
      const found = [...text.matchAll(everywhere)].at(-1)?.[1];
      const value = found === undefined || found.trim() === "" ? Number.NaN : Number(found);
      return Number.isFinite(value) ? { value } : undefined;
    },
  };
}

export const ownJudgeName = "judge-own";
