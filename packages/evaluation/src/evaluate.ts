import { type AnswerOptions, askAll, type ChatModel } from "./chat.ts";
import { EvaluationError } from "./errors.ts";
import type { Example, Metric } from "./metrics.ts";
import { type Rate, wilson } from "./wilson.ts";

/** One example with what the model said and how it was judged. */
export interface EvaluatedExample {
  readonly example: Example;
  readonly answer: string;
  /** By metric name. */
  readonly scores: Readonly<Record<string, boolean>>;
}

/** One model on one set of examples. */
export interface Evaluation {
  /** The chat model's name. */
  readonly model: string;
  /** In the order of the examples, so that two models' results pair up. */
  readonly examples: readonly EvaluatedExample[];
  /** Share of examples with score true and its 95 % interval, by metric name. */
  readonly rates: Readonly<Record<string, Rate>>;
}

/**
 * Asks `chat` every example and judges the answers by every metric; answers are kept, so that anyone can judge again.
 * Throws EvaluationError, before anything is generated where possible, when there are no examples or metrics, two metrics share a
 * name, an example does not end with a turn to be answered, or the model returns another number of answers.
 */
export async function evaluate(
  chat: ChatModel,
  examples: readonly Example[],
  metrics: readonly Metric[],
  options: AnswerOptions,
): Promise<Evaluation> {
  checkExamples(examples);
  checkMetrics(metrics);
  const answers = await askAll(
    chat,
    examples.map((example) => example.messages),
    options,
  );
  const evaluated = examples.map((example, i) => judge(example, answers[i], metrics));
  const rates = metrics.map(({ name }) => [name, rateOf(evaluated, name)] as const);
  return { model: chat.name, examples: evaluated, rates: Object.fromEntries(rates) };
}

function judge(example: Example, answer: string, metrics: readonly Metric[]): EvaluatedExample {
  const scores = metrics.map((metric) => [metric.name, metric.score(answer, example)] as const);
  return { example, answer, scores: Object.fromEntries(scores) };
}

function rateOf(evaluated: readonly EvaluatedExample[], metric: string): Rate {
  return wilson(evaluated.filter(({ scores }) => scores[metric]).length, evaluated.length);
}

function checkExamples(examples: readonly Example[]): void {
  if (examples.length === 0) throw new EvaluationError("evaluate: there are no examples, so there is no rate");
  examples.forEach(({ messages }, i) => {
    const role = messages.at(-1)?.role;
    if (role !== undefined && role !== "assistant" && role !== "system") return;
    const found = role === undefined ? "has no messages" : `ends with a turn of the ${role}`;
    throw new EvaluationError(`evaluate: example ${i + 1} ${found}; its last message must be the one to be answered`);
  });
}

function checkMetrics(metrics: readonly Metric[]): void {
  const names = metrics.map(({ name }) => name);
  if (names.length > 0 && new Set(names).size === names.length) return;
  throw new EvaluationError(`evaluate: metrics [${names.join(", ")}] need at least one, each with its own name`);
}
