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
  requireSame(file, promptParts(results, samples.length), promptParts(wanted, prompts.length));
  return { chat: givenChat(file, prompts, samples), results, source: { file, version: results.version } };
}

/** @throws UsageError for answers of another model, endpoint, engine or secret prompt */
export function requireAnswersOf({ results, source }: GivenAnswers, identity: Identity): void {
  requireSame(source.file, modelParts(results.model ?? {}), modelParts(identity));
}

/** By name, what answers rest on: what must be the same, and how it is told. */
type Parts = Readonly<Record<string, { readonly is: unknown; readonly told: string }>>;

function promptParts({ promptsSha256, decoding }: AnswersBasis, n: number): Parts {
  return { prompts: hashed(n, promptsSha256), ...plain(decoding ?? {}) };
}

/** A model of this machine, and a secret prompt, are what they hold, wherever they lie. */
function modelParts({ model, sha256, secretPrompt, ...rest }: Identity): Parts {
  const secret = (secretPrompt ?? {}) as { readonly sha256?: string };
  const named = sha256 === undefined ? plain({ model }) : { model: hashed(model, sha256) };
  return { ...named, ...plain({ ...rest, "secret prompt": secret.sha256 }) };
}

function hashed(what: unknown, sha256: unknown): Parts[string] {
  return { is: sha256, told: `${what} with sha256 ${sha256}` };
}

function plain(values: Identity): Parts {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, { is: value, told: String(value) }]));
}

function requireSame(file: string, had: Parts, wanted: Parts): void {
  const names = [...new Set([...Object.keys(had), ...Object.keys(wanted)])].filter(
    (name) => had[name]?.is !== wanted[name]?.is,
  );
  if (names.length === 0) return;
  const told = names.map((name) => `${name} ${had[name]?.told ?? "none"}, not ${wanted[name]?.told ?? "none"}`);
  throw new UsageError(
    `--answers ${file}: its answers are others than those asked for (${told.join("; ")}). Leave --answers out, or ask as they were made.`,
  );
}
