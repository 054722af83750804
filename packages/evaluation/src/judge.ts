import { EvaluationError } from "./errors.ts";
import type { Example } from "./metrics.ts";
import type { Sample } from "./results.ts";
import { type Judgement, type MetricSummary, type Scorer, summarise } from "./scorer.ts";

/** Everything that was said about a set of answers: a line of the table for each scorer, and each answer with its judgements. */
export interface Judged {
  readonly metrics: readonly MetricSummary[];
  readonly samples: readonly Sample[];
}

/**
 * Judge the answers by every scorer.
 * @param answers one an example; undefined where no scorer reads them
 * @throws EvaluationError when nothing can be judged: see `checkExamples` and `checkScorers`
 */
export async function judgeAnswers(
  examples: readonly Example[],
  answers: readonly string[] | undefined,
  scorers: readonly Scorer[],
): Promise<Judged> {
  checkExamples(examples);
  checkScorers(scorers);
  const columns: { readonly scorer: Scorer; readonly judgements: readonly Judgement[] }[] = [];
  for (const scorer of scorers) columns.push({ scorer, judgements: await scorer.score(answers ?? [], examples) });
  const samples = examples.map(({ messages, reference }, index): Sample => {
    const judgements = columns.map(({ scorer, judgements }) => [scorer.name, judgements[index]] as const);
    const said = answers === undefined ? {} : { answer: answers[index] };
    return { index, messages, reference, ...said, judgements: Object.fromEntries(judgements) };
  });
  return { samples, metrics: columns.map(({ scorer, judgements }) => summarise(scorer, judgements)) };
}

/** @throws EvaluationError without examples, and naming the first that does not end with a turn to be answered */
export function checkExamples(examples: readonly Example[]): void {
  if (examples.length === 0) throw new EvaluationError("evaluate: there are no examples, so there is no rate");
  examples.forEach(({ messages }, i) => {
    const role = messages.at(-1)?.role;
    if (role !== undefined && role !== "assistant" && role !== "system") return;
    const found = role === undefined ? "has no messages" : `ends with a turn of the ${role}`;
    throw new EvaluationError(`evaluate: example ${i + 1} ${found}; its last message must be the one to be answered`);
  });
}

function checkScorers(scorers: readonly Scorer[]): void {
  const names = scorers.map(({ name }) => name);
  if (names.length > 0 && new Set(names).size === names.length) return;
  throw new EvaluationError(`evaluate: metrics [${names.join(", ")}] need at least one, each with its own name`);
}
