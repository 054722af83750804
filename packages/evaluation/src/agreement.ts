import type { Judged } from "./judge.ts";
import { type Agreement, cohensKappa } from "./kappa.ts";
import type { Scorer } from "./scorer.ts";

/** How far two judges of one subject agree, on the answers that both could judge. */
export interface JudgeAgreement extends Agreement {
  readonly a: string;
  readonly b: string;
  readonly subject: string;
}

/** Cohen's kappa of every two judges that judge the same, by class where they name one, else by value. */
export function judgeAgreements(scorers: readonly Scorer[], { samples }: Judged): JudgeAgreement[] {
  return scorers.flatMap((a, i) => scorers.slice(i + 1).flatMap((b) => agreementOf(a, b, samples)));
}

function agreementOf(a: Scorer, b: Scorer, samples: Judged["samples"]): JudgeAgreement[] {
  const subject = a.source?.subject;
  if (subject === undefined || subject !== b.source?.subject) return [];
  const classOf = (name: string) => (sample: Judged["samples"][number]) => {
    const { label, value } = sample.judgements[name];
    return label ?? value;
  };
  const pairs = samples.map((sample) => [a, b].map(({ name }) => classOf(name)(sample)));
  const both = pairs.filter((pair) => pair.every((verdict) => verdict !== undefined));
  if (both.length === 0) return [];
  const agreement = cohensKappa(
    both.map(([first]) => first),
    both.map(([, second]) => second),
  );
  return [{ a: a.name, b: b.name, subject, ...agreement }];
}
