import { type ChatModel, type Example, givenChat, type Results, readResults, resultsAt } from "@safedelta/evaluation";
import { UsageError } from "../exitCode.ts";
import type { Identity } from "./openChat.ts";

/** Answers of a finished evaluation, to be judged again. */
export interface GivenAnswers {
  readonly chat: ChatModel;
  readonly results: Results;
  /** Of the results: where the answers come from, and the version that they were made by. */
  readonly source: { readonly file: string; readonly version?: string };
}

/** What answers rest on besides the model. */
export type AnswersBasis = Pick<Results, "promptsSha256" | "decoding">;

/**
 * @param path results_TIME.json, or a folder whose newest results are taken
 * @throws EvaluationError for what cannot be read; UsageError for other prompts, another way of answering, and an evaluation without answers
 */
export async function readAnswers(
  path: string,
  prompts: readonly Example[],
  wanted: AnswersBasis,
): Promise<GivenAnswers> {
  const file = await resultsAt(path);
  const { results, samples } = await readResults(file);
  if (samples.some(({ answer }) => answer === undefined))
    throw new UsageError(
      `--answers ${file}: it has none, since its metrics look at the model itself. Name an evaluation by another metric.`,
    );
  requireSame(file, basisOf(results), basisOf(wanted));
  return { chat: givenChat(file, prompts, samples), results, source: { file, version: results.version } };
}

/** @throws UsageError for answers of another model, endpoint, engine or secret prompt */
export function requireAnswersOf({ results, source }: GivenAnswers, identity: Identity): void {
  requireSame(source.file, withoutSpelling(results.model ?? {}), withoutSpelling(identity));
}

function basisOf({ promptsSha256, decoding }: AnswersBasis): Identity {
  return { prompts: promptsSha256, ...decoding };
}

/** A model of this machine, and a secret prompt, are what they hold, wherever they lie. */
function withoutSpelling({ model, secretPrompt, ...rest }: Identity): Identity {
  const { sha256 } = (secretPrompt ?? {}) as { readonly sha256?: string };
  return { ...rest, ...(rest.endpoint === undefined ? {} : { model }), "secret prompt": sha256 };
}

function requireSame(file: string, had: Identity, wanted: Identity): void {
  const names = [...new Set([...Object.keys(had), ...Object.keys(wanted)])].filter(
    (name) => had[name] !== wanted[name],
  );
  if (names.length === 0) return;
  const told = names.map((name) => `${name} ${had[name] ?? "none"}, not ${wanted[name] ?? "none"}`);
  throw new UsageError(
    `--answers ${file}: its answers are others than those asked for (${told.join("; ")}). Leave --answers out, or ask as they were made.`,
  );
}
