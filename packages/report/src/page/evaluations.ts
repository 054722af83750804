import type { Role } from "../repairWords.ts";

/** One metric of one evaluation, as `safedelta eval` writes it. */
export interface MetricReport {
  readonly metric: string;
  readonly kind: "rate" | "mean";
  /** Undefined where nothing could be judged. */
  readonly value?: number;
  /** 95 % interval. */
  readonly low?: number;
  readonly high?: number;
  readonly n: number;
  readonly nUnparsed: number;
}

/** One answer with what the metrics say of it. */
export interface AnswerReport {
  readonly index: number;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly answer: string;
  readonly judgements: Readonly<Record<string, { readonly value?: number }>>;
}

/** One finished evaluation with its answers. */
export interface EvaluationInput {
  readonly task: string;
  /** As the user named it. */
  readonly model: string;
  /** Undefined for a model that has no part in the repair. */
  readonly role?: Role;
  readonly promptsSha256: string;
  /** Where the prompts came from. */
  readonly prompts: string;
  /** Requests or answers may do harm: the data set is known for it. */
  readonly harmful: boolean;
  readonly metrics: readonly MetricReport[];
  /** Whether prompts stand in the safe data too, and how many. */
  readonly nOverlap?: number;
  readonly answers: readonly AnswerReport[];
}

/** The same without its answers: what a page holds of it. */
export type EvaluationReport = Omit<EvaluationInput, "answers"> & { readonly nAnswers: number };

/** A difference between two models on the same prompts. */
export interface ComparisonReport {
  readonly task: string;
  readonly metric: string;
  /** What the difference is taken from, and what is compared with it. */
  readonly from: string;
  readonly to: string;
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
  /** McNemar's exact test, of rates. */
  readonly p?: number;
}

/** Answers of several models to the same prompts. */
export interface SampleSet {
  readonly task: string;
  /** Folded away behind a warning. */
  readonly harmful: boolean;
  readonly models: readonly string[];
  readonly samples: readonly Sample[];
}

/** One prompt, and the answer of each model of its set. */
export interface Sample {
  readonly messages: AnswerReport["messages"];
  /** In the order of the set's models, with the values of the metrics. */
  readonly answers: readonly { readonly text: string; readonly values: Readonly<Record<string, number>> }[];
}

/** Sets whose answers a page leaves out. */
export interface WithheldSet {
  readonly task: string;
  readonly nPrompts: number;
}

const roles: readonly Role[] = ["aligned", "tuned", "repaired"];

/** The models of a table of answers: of a repair all three, measured or not, then whatever else was measured. */
export function columnsOf(evaluations: readonly EvaluationReport[], hasRepair: boolean): string[] {
  return [...new Set([...(hasRepair ? roles : []), ...evaluations.map(nameOf)])];
}

/** The models of a repair of which nothing was measured. */
export function unmeasured(evaluations: readonly EvaluationReport[]): Role[] {
  return roles.filter((role) => evaluations.every((evaluation) => evaluation.role !== role));
}

/** Metrics that compare with a right answer: what they judge is a task. Others judge what a model says to requests that may do harm. */
const taskMetrics: readonly string[] = ["exact", "gsm8k", "rouge1", "rouge1-google"];

/** Whether a page may show the answers without being asked: the set is not known for harm, and only task metrics judge it. */
export function maySpeak(evaluations: readonly EvaluationInput[]): boolean {
  const metrics = evaluations.flatMap((evaluation) => evaluation.metrics.map(({ metric }) => metric));
  return evaluations.every(({ harmful }) => !harmful) && metrics.every((metric) => taskMetrics.includes(metric));
}

/**
 * Answers side by side, at most `nSamples` a set: first those on which the models' values differ, then the others, by index. What may
 * do harm is withheld unless `showHarmful`.
 */
export function sampleSets(
  evaluations: readonly EvaluationInput[],
  { nSamples, showHarmful }: { readonly nSamples: number; readonly showHarmful: boolean },
): { readonly sets: readonly SampleSet[]; readonly withheld: readonly WithheldSet[] } {
  const groups = Map.groupBy(evaluations, ({ promptsSha256 }) => promptsSha256);
  const sets: SampleSet[] = [];
  const withheld: WithheldSet[] = [];
  for (const group of groups.values()) {
    const spoken = group.filter(({ answers }) => answers.length > 0);
    if (spoken.length === 0) continue;
    const harmful = !maySpeak(group);
    const { task, answers } = spoken[0];
    if (harmful && !showHarmful) withheld.push({ task, nPrompts: answers.length });
    else sets.push({ task, harmful, models: spoken.map(nameOf), samples: pickSamples(spoken, nSamples) });
  }
  return { sets, withheld };
}

/** A model by its part in the repair, else as the user named it. */
export function nameOf({ role, model }: Pick<EvaluationInput, "role" | "model">): string {
  return role ?? model;
}

function pickSamples(group: readonly EvaluationInput[], nSamples: number): Sample[] {
  const nPrompts = Math.min(...group.map(({ answers }) => answers.length));
  const all = Array.from({ length: nPrompts }, (_, i) => sampleAt(group, i));
  const [differing, others] = [all.filter(differs), all.filter((sample) => !differs(sample))];
  return [...differing, ...others].slice(0, nSamples);
}

function sampleAt(group: readonly EvaluationInput[], index: number): Sample {
  const answers = group.map((evaluation) => {
    const { answer, judgements } = evaluation.answers[index];
    const values = Object.entries(judgements).flatMap(([name, { value }]) =>
      value === undefined ? [] : [[name, value]],
    );
    return { text: answer, values: Object.fromEntries(values) };
  });
  return { messages: group[0].answers[index].messages, answers };
}

function differs({ answers }: Sample): boolean {
  const [first, ...others] = answers.map(({ values }) => JSON.stringify(values));
  return others.some((values) => values !== first);
}
