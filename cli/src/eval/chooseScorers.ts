import { suggest } from "@safedelta/data";
import {
  type Beside,
  type ChatModel,
  type JudgeFormat,
  judgedBy,
  judgeFormats,
  klScorer,
  matchesPattern,
  mmluQuestion,
  mmluScorer,
  modelMetrics,
  type Opened,
  outputErrorScorer,
  ownJudgeName,
  plainScorers,
  rateScorer,
  refusalLogOdds,
  type Scorer,
} from "@safedelta/evaluation";
import { UsageError } from "../exitCode.ts";
import { patternOf } from "../patternOf.ts";

/** What a metric looks at besides answers. */
export type Need = "judge" | "model" | "aligned" | "tuned";

/** What was opened for the metrics; what one needs is there. */
export interface Tools {
  readonly judges: readonly ChatModel[];
  readonly opened?: Opened;
  readonly aligned?: Beside;
  readonly tuned?: Beside;
}

/** A word of --metric. */
export interface Wanted {
  readonly name: string;
  readonly needs: readonly Need[];
  /** As `Scorer.check`, before anything is opened. */
  check?: Scorer["check"];
  make(tools: Tools): Scorer;
}

/** Settings of single metrics. */
export interface MetricOptions {
  readonly pattern?: string;
  readonly refusalOpening?: string;
  readonly nJudges: number;
  /** The judge with the user's words, where there is one. */
  readonly own?: JudgeFormat;
}

type ModelMetric = (typeof modelMetrics)[number];

/** Metrics of a model of this machine, by name. */
const ofModel: Readonly<
  Record<ModelMetric, Omit<Wanted, "name" | "make"> & { make(tools: Tools, openings?: string[]): Scorer }>
> = {
  mmlu: {
    needs: ["model"],
    check: (example) => void mmluQuestion(example),
    make: ({ opened }) => mmluScorer(opened as Opened),
  },
  "refusal-log-odds": {
    needs: ["model"],
    make: ({ opened }, openings) => refusalLogOdds(opened as Opened, openings),
  },
  "kl-aligned": {
    needs: ["model", "aligned"],
    make: ({ opened, aligned }) => klScorer("kl-aligned", opened as Opened, aligned as Beside),
  },
  "kl-tuned": {
    needs: ["model", "tuned"],
    make: ({ opened, tuned }) => klScorer("kl-tuned", opened as Opened, tuned as Beside),
  },
  "output-error": {
    needs: ["model", "aligned"],
    make: ({ opened, aligned }) => outputErrorScorer(opened as Opened, aligned as Beside),
  },
};

/**
 * Read --metric. With several judges `name@2` asks the second one, and a judge's metric without a number asks all of them.
 * @throws UsageError naming the metrics there are, or what a setting lacks
 */
export function chooseScorers(words: string, options: MetricOptions): Wanted[] {
  const names = [...new Set(words.split(",").map((word) => word.trim()))];
  const all = names.flatMap((name) => wanted(name, options));
  requireUsed(options, names);
  return all.filter(({ name }, i) => all.findIndex((other) => other.name === name) === i);
}

/** @throws UsageError for a setting of a metric that is not asked for */
function requireUsed({ pattern, refusalOpening, own }: MetricOptions, names: readonly string[]): void {
  if (pattern !== undefined && !names.includes("pattern"))
    throw new UsageError("--pattern: without effect, since --metric does not name pattern.");
  if (refusalOpening !== undefined && !names.includes("refusal-log-odds"))
    throw new UsageError("--refusal-opening: without effect, since --metric does not name refusal-log-odds.");
  if (own !== undefined && !names.some((name) => name.replace(/@\d+$/, "") === ownJudgeName))
    throw new UsageError(`--judge-prompt: without effect, since --metric does not name ${ownJudgeName}.`);
}

function wanted(name: string, options: MetricOptions): Wanted[] {
  const plain = name === "pattern" ? patternScorer(options.pattern) : plainScorers.find((one) => one.name === name);
  if (plain) return [{ name, needs: [], check: plain.check, make: () => plain }];
  const looking = modelMetrics.find((one) => one === name);
  if (looking) {
    const { needs, check, make } = ofModel[looking];
    const openings = options.refusalOpening?.split(",").map((text) => text.trim());
    return [{ name, needs, check, make: (tools) => make(tools, openings) }];
  }
  const [, word, number] = /^(.*?)(?:@(\d+))?$/.exec(name) as RegExpExecArray;
  const format = [...judgeFormats, ...(options.own ? [options.own] : [])].find((judge) => judge.name === word);
  if (word === ownJudgeName && format === undefined)
    throw new UsageError(`--metric ${ownJudgeName} needs --judge-prompt and --judge-verdict.`);
  if (format) return judged(format, number === undefined ? undefined : Number(number), options.nJudges);
  const all = [...plainScorers.map((scorer) => scorer.name), "pattern", ...modelMetrics];
  const known = [...all, ...judgeFormats.map((judge) => judge.name), ownJudgeName];
  throw new UsageError(`"${name}" is no metric.${suggest(word, known)} There are: ${known.join(", ")}.`);
}

/** @throws UsageError for the number of a judge that is not there */
function judged(format: JudgeFormat, number: number | undefined, nJudges: number): Wanted[] {
  if (number !== undefined && !(number >= 1 && number <= nJudges))
    throw new UsageError(`--metric ${format.name}@${number}: --judge-model names ${nJudges} judges.`);
  const numbers = number === undefined ? Array.from({ length: Math.max(1, nJudges) }, (_, i) => i + 1) : [number];
  return numbers.map((judge) => {
    const name = nJudges > 1 ? `${format.name}@${judge}` : format.name;
    return { name, needs: ["judge"], make: ({ judges }) => judgedBy(judges[judge - 1], format, name) };
  });
}

function patternScorer(pattern: string | undefined): Scorer {
  if (pattern === undefined) throw new UsageError("--metric pattern needs --pattern, a regular expression.");
  return { ...rateScorer(matchesPattern("pattern", patternOf(pattern))), settings: { pattern } };
}
