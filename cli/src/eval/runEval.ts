import { createHash } from "node:crypto";
import { basename, extname, join } from "node:path";
import { type Example, hashExamples, isNamed, loadSource, overlap, type SourceAccess } from "@safedelta/data";
import { answerKept, type Judgement, type Sample, type Scorer, saveResults, summarise } from "@safedelta/evaluation";
import { lockFolder, sourceAccess, toolVersion } from "@safedelta/pipeline";
import type { Io } from "../io.ts";
import type { OpenChat } from "./openChat.ts";

/** What is asked, how, and where the results go. */
export interface EvalOptions {
  readonly prompts: string;
  readonly limit?: number;
  readonly system?: string;
  readonly safeData?: string;
  readonly maxNewTokens: number;
  readonly batch: number;
  readonly offline: boolean;
  readonly out: string;
}

/**
 * The conversations to be answered; answers that the file has beside them are no part of the prompt. A data set by name is asked
 * under its official template, unless there is a system prompt.
 */
export async function loadPrompts(
  { prompts, limit, system, offline }: EvalOptions,
  io: Pick<Io, "progress">,
): Promise<Example[]> {
  const template = system === undefined ? "official" : "none";
  const examples = await loadSource(prompts, sourceAccess(offline, io.progress), { seed: 0, template });
  const first = system === undefined ? [] : [{ role: "system", content: system }];
  return examples.slice(0, limit).map((example) => ({ ...example, messages: [...first, ...asked(example)] }));
}

function asked({ messages }: Example): Example["messages"] {
  return messages.at(-1)?.role === "assistant" ? messages.slice(0, -1) : messages;
}

/** Ask, judge and save. */
export async function runEval(
  { chat, identity }: OpenChat,
  examples: readonly Example[],
  scorers: readonly Scorer[],
  options: EvalOptions,
  io: Pick<Io, "progress" | "note">,
) {
  const { maxNewTokens, batch: batchSize, out } = options;
  const decoding = { maxNewTokens, temperature: 0 };
  const promptsSha256 = hashExamples(examples);
  const shared = await overlapWith(options.safeData, examples, sourceAccess(options.offline, io.progress));
  const key = createHash("sha256").update(JSON.stringify([toolVersion, identity, promptsSha256, decoding]));
  const kept = join(out, `.work_${key.digest("hex").slice(0, 16)}.jsonl`);
  await using _lock = await lockFolder(out);
  io.progress.stage("answers", examples.length);
  let told = 0;
  const onBatch = (nAnswered: number) => {
    for (; told < nAnswered; told++) io.progress.step();
  };
  const prompts = examples.map(({ messages }) => messages);
  const answers = await answerKept(chat, prompts, { maxNewTokens, batchSize, onBatch }, kept);
  const { metrics, samples } = await judge(examples, answers, scorers);
  const task = taskOf(options.prompts);
  const time = new Date().toISOString().replaceAll(":", "-");
  const results = {
    ...{ task, time, samplesFile: `samples_${task}_${time}.jsonl`, promptsSha256, metrics },
    ...{ version: toolVersion, model: identity, decoding, prompts: options.prompts, system: options.system },
    judges: Object.fromEntries(scorers.filter(({ source }) => source).map(({ name, source }) => [name, source])),
    overlap: shared,
  };
  return { results, samples, file: await saveResults(out, results, samples, kept) };
}

/** What the results are called by: a file's name, or a data set's with its split. */
function taskOf(prompts: string): string {
  const name = isNamed(prompts) ? prompts.replace(/=.*/, "").replace("/", "-") : basename(prompts);
  return basename(name, extname(name));
}

async function judge(examples: readonly Example[], answers: readonly string[], scorers: readonly Scorer[]) {
  const scored: { readonly scorer: Scorer; readonly judgements: Judgement[] }[] = [];
  for (const scorer of scorers) scored.push({ scorer, judgements: await scorer.score(answers, examples) });
  const samples = examples.map(({ messages, reference }, index): Sample => {
    const judgements = scored.map(({ scorer, judgements }) => [scorer.name, judgements[index]] as const);
    return { index, messages, reference, answer: answers[index], judgements: Object.fromEntries(judgements) };
  });
  return { samples, metrics: scored.map(({ scorer, judgements }) => summarise(scorer, judgements)) };
}

/** Prompts that the safe data hold too: a method has seen those. */
async function overlapWith(file: string | undefined, examples: readonly Example[], access: SourceAccess) {
  if (file === undefined) return undefined;
  const { b, count } = overlap(await loadSource(file, access, { seed: 0 }), examples);
  if (count > 0)
    access.warn(`${count} of ${examples.length} prompts are in ${file} too: these do not show what is new.`);
  return { file, count, indices: b };
}
