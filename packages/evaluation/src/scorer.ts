import { bootstrapMean } from "./bootstrap.ts";
import { gsm8kAnswer } from "./gsm8k.ts";
import { caseRemark, keywordRefusal } from "./keywords.ts";
import { type Example, exactAnswer, type Metric, referenceOf } from "./metrics.ts";
import { smallestDifference } from "./power.ts";
import { type Rouge, rougeOfCounts, rougeOfSets } from "./rouge.ts";
import { type Rate, wilson } from "./wilson.ts";

/** What a metric says of one answer. */
export interface Judgement {
  /** Of a rate 0 or 1; undefined where a judge's words could not be read. */
  readonly value: number | undefined;
  /** The class it was put in, where there are more than two. */
  readonly label?: string;
  /** The judge's own words. */
  readonly verdict?: string;
}

/** Which judge, what it judges, and the hash of its prompt. */
export interface JudgeSource {
  readonly judge: string;
  readonly subject: string;
  readonly promptSha256: string;
}

/** What a metric's values rest on besides model, prompts and judge: two runs are compared on the same alone. */
export type Settings = Readonly<Record<string, string | number>>;

/** A metric over many answers. */
export interface Scorer {
  readonly name: string;
  readonly kind: "rate" | "mean";
  /** Of a judge's metric. */
  readonly source?: JudgeSource;
  readonly settings?: Settings;
  /** It looks at the model itself: nothing need be generated for it, and `answers` is not read. */
  readonly ofModel?: boolean;
  /** It reads the answers that the data have (`shown`). */
  readonly ofShown?: boolean;
  /** Throws what `score` would throw of an example whatever was answered. */
  check?(example: Example): void;
  /** What to know of its value before it is believed. */
  remark?(answers: readonly string[]): string | undefined;
  /** One judgement an example, in their order. */
  score(answers: readonly string[], examples: readonly Example[]): Promise<Judgement[]>;
}

/** One line of a results table. */
export interface MetricSummary {
  readonly metric: string;
  readonly kind: "rate" | "mean";
  /** Undefined where nothing could be judged. */
  readonly value?: number;
  /** 95 % interval: Wilson's of a rate, bootstrap of a mean. */
  readonly low?: number;
  readonly high?: number;
  readonly n: number;
  /** Verdicts that could not be read; they are in neither value nor n. */
  readonly nUnparsed: number;
  /** Of a rate: differences to another model below this are not seen (level 0.05, power 0.8). */
  readonly smallestDifference?: number;
  /** Of a rubric: share of the highest score. */
  readonly shareOfFives?: Rate;
  /** Of a judge that names classes: the share of each. */
  readonly classes?: Readonly<Record<string, Rate>>;
}

/** A yes-or-no metric; `whenFalse` turns it round. */
export function rateScorer({ name, check, score }: Metric, whenFalse = false): Scorer {
  return {
    name,
    kind: "rate",
    check,
    score: async (answers, examples) =>
      answers.map((answer, i) => ({ value: Number(score(answer, examples[i]) !== whenFalse) })),
  };
}

function rougeScorer(name: string, rouge: (answer: string, reference: string) => Rouge): Scorer {
  return {
    name,
    kind: "mean",
    check: (example) => void referenceOf(name, example),
    score: async (answers, examples) =>
      answers.map((answer, i) => ({ value: rouge(answer, referenceOf(name, examples[i])).f1 })),
  };
}

/** Every metric that needs no judge, by its name. */
export const plainScorers: readonly Scorer[] = [
  { ...rateScorer({ ...keywordRefusal, name: "asr-keywords" }, true), remark: caseRemark },
  { ...rateScorer(keywordRefusal), remark: caseRemark },
  rateScorer(exactAnswer("exact")),
  rateScorer(gsm8kAnswer("gsm8k")),
  rougeScorer("rouge1", rougeOfSets),
  rougeScorer("rouge1-google", rougeOfCounts),
];

/** The line of a table out of one metric's judgements. */
export function summarise(
  { name, kind }: Pick<Scorer, "name" | "kind">,
  judgements: readonly Judgement[],
): MetricSummary {
  const values = judgements.map(({ value }) => value).filter((value) => value !== undefined);
  const counts = { metric: name, kind, n: values.length, nUnparsed: judgements.length - values.length };
  if (values.length === 0) return counts;
  if (kind === "rate") {
    const { rate, low, high, n } = wilson(values.filter((value) => value === 1).length, values.length);
    return {
      ...counts,
      value: rate,
      low,
      high,
      smallestDifference: smallestDifference(rate, n),
      ...classesOf(judgements),
    };
  }
  const { mean, low, high } = bootstrapMean(values);
  const shareOfFives = wilson(values.filter((value) => value === 5).length, values.length);
  return { ...counts, value: mean, low, high, ...(name.startsWith("judge-rubric") ? { shareOfFives } : {}) };
}

function classesOf(judgements: readonly Judgement[]): Pick<MetricSummary, "classes"> {
  const labels = judgements.map(({ label }) => label).filter((label) => label !== undefined);
  if (labels.length === 0) return {};
  const rateOf = (name: string) => wilson(labels.filter((label) => label === name).length, labels.length);
  return { classes: Object.fromEntries([...new Set(labels)].sort().map((name) => [name, rateOf(name)])) };
}
