import {
  type ChatModel,
  judgedBy,
  judgeFormats,
  matchesPattern,
  plainScorers,
  rateScorer,
  type Scorer,
} from "@safedelta/evaluation";
import { UsageError } from "../exitCode.ts";

/** A word of --metric: ready, or in want of a judge. */
export interface Wanted {
  readonly name: string;
  readonly needsJudge: boolean;
  make(judge: ChatModel | undefined): Scorer;
}

/** Read --metric. @throws UsageError naming the metrics there are, or what `pattern` lacks */
export function chooseScorers(words: string, pattern: string | undefined): Wanted[] {
  const names = [...new Set(words.split(",").map((word) => word.trim()))];
  if (pattern !== undefined && !names.includes("pattern"))
    throw new UsageError("--pattern: without effect, since --metric does not name pattern.");
  return names.map((name) => wanted(name, pattern));
}

function wanted(name: string, pattern: string | undefined): Wanted {
  const plain = name === "pattern" ? patternScorer(pattern) : plainScorers.find((scorer) => scorer.name === name);
  if (plain) return { name, needsJudge: false, make: () => plain };
  const format = judgeFormats.find((judge) => judge.name === name);
  if (format) return { name, needsJudge: true, make: (judge) => judgedBy(judge as ChatModel, format) };
  const all = [...plainScorers, { name: "pattern" }, ...judgeFormats].map((metric) => metric.name);
  throw new UsageError(`"${name}" is no metric; there are: ${all.join(", ")}.`);
}

function patternScorer(pattern: string | undefined): Scorer {
  if (pattern === undefined) throw new UsageError("--metric pattern needs --pattern, a regular expression.");
  try {
    return rateScorer(matchesPattern("pattern", new RegExp(pattern, "u")));
  } catch (error) {
    throw new UsageError(`--pattern: ${(error as Error).message}`);
  }
}
