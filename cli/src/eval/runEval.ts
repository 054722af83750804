import { createHash } from "node:crypto";
import { basename, extname, join } from "node:path";
import {
  type Example as DataExample,
  hashExamples,
  loadSource,
  overlap,
  parseSource,
  type SourceAccess,
} from "@safedelta/data";
import {
  askTurns,
  type ChatModel,
  checkExamples,
  type Drawing,
  type Example,
  judgeAgreements,
  judgeAnswers,
  type Scorer,
  type Settings,
  saveResults,
} from "@safedelta/evaluation";
import { lockFolder, sourceAccess, toolVersion } from "@safedelta/pipeline";
import type { Io } from "../io.ts";
import type { Tools, Wanted } from "./chooseScorers.ts";
import type { GivenAnswers } from "./givenAnswers.ts";
import { keptTold } from "./keptTold.ts";
import type { OpenChat } from "./openChat.ts";

/** What is asked, how, and where the results go. */
export interface EvalOptions {
  readonly prompts: string;
  readonly limit?: number;
  readonly system?: string;
  readonly safeData?: string;
  readonly maxNewTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  /** Of drawn answers. */
  readonly seed: number;
  readonly batch: number;
  readonly offline: boolean;
  readonly out: string;
}

/** Who answers, who judges, and what metrics of the model itself look at. */
export interface EvalParts extends Omit<Tools, "judges"> {
  readonly tested: OpenChat;
  readonly judges: readonly OpenChat[];
  readonly wanted: readonly Wanted[];
  /** Where the answers come from, if `tested` only gives them again. */
  readonly answersFrom?: GivenAnswers["source"];
}

/** A prompt, and the answer that the data have. */
export type Prompt = DataExample & Pick<Example, "shown">;

/**
 * The conversations to be answered; answers that the file has beside them are no part of the prompt. A data set by name is asked
 * under its official template, unless there is a system prompt. @throws DataError
 */
export async function loadPrompts(options: EvalOptions, io: Pick<Io, "progress">): Promise<Prompt[]> {
  const template = options.system === undefined ? "official" : "none";
  const access = sourceAccess(options.offline, io.progress);
  return promptsOf(await loadSource(options.prompts, access, { seed: 0, template }), options);
}

/** What is asked of the examples that a source holds. @throws EvaluationError for those that end with no turn to be answered */
export function promptsOf(
  examples: readonly DataExample[],
  { limit, system }: Pick<EvalOptions, "limit" | "system">,
): Prompt[] {
  const first = system === undefined ? [] : [{ role: "system", content: system }];
  const loaded = examples.slice(0, limit).map((example) => {
    const { messages, shown } = asked(example);
    return { ...example, messages: [...first, ...messages], ...(shown === undefined ? {} : { shown }) };
  });
  checkExamples(loaded);
  return loaded;
}

/** @throws EvaluationError for the first prompt that lacks what a metric judges by */
export function requireJudgeable(wanted: readonly Wanted[], prompts: readonly Prompt[]): void {
  for (const { check } of wanted) for (const prompt of prompts) check?.(prompt);
}

/** A conversation without the answer at its end, and that answer. */
export function asked({ messages }: DataExample): Pick<Prompt, "messages" | "shown"> {
  const last = messages.at(-1);
  return last?.role === "assistant" ? { messages: messages.slice(0, -1), shown: last.content } : { messages };
}

/** What identifies a set of prompts: those alone, without what the data have as answers. */
export function hashPrompts(prompts: readonly Prompt[]): string {
  return hashExamples(prompts.map(({ shown: _shown, ...prompt }) => prompt));
}

/** Ask, judge and save. */
export async function runEval(
  parts: EvalParts,
  prompts: readonly Prompt[],
  options: EvalOptions,
  io: Pick<Io, "progress">,
) {
  const { tested, judges, wanted, answersFrom } = parts;
  const { maxNewTokens, out } = options;
  const drawing = drawingOf(options);
  const decoding = decodingOf(options);
  const promptsSha256 = hashPrompts(prompts);
  const shared = await overlapWith(options, sourceAccess(options.offline, io.progress));
  await using _lock = await lockFolder(out);
  const kept: string[] = [];
  const keep = (chat: OpenChat, stage: string, of?: string) => keepAnswers(chat, [stage, of], options, io, kept);
  const asking: ChatModel[] = [];
  for (const judge of judges) asking.push(await keep(judge, "verdicts"));
  const scorers = wanted.map(({ make }) => make({ ...parts, judges: asking }));
  const generates = scorers.some(({ ofModel }) => !ofModel);
  const answering = () => (answersFrom ? tested.chat : keep(tested, "answers", promptsSha256));
  const answered = generates
    ? await askTurns(await answering(), prompts, { maxNewTokens, drawing })
    : { examples: prompts, answers: undefined };
  const judged = await judgeAnswers(answered.examples, answered.answers, scorers);
  for (const scorer of scorers) {
    const remark = scorer.remark?.(answered.answers ?? []);
    if (remark) io.progress.warn(remark);
  }
  const task = taskOf(options.prompts);
  const time = new Date().toISOString().replaceAll(":", "-");
  const results = {
    ...{ task, time, samplesFile: `samples_${task}_${time}.jsonl`, promptsSha256, metrics: judged.metrics },
    agreement: judgeAgreements(scorers, judged),
    ...{
      version: toolVersion,
      model: tested.identity,
      decoding,
      answersFrom,
      prompts: options.prompts,
      system: options.system,
    },
    judges: Object.fromEntries(scorers.flatMap(({ name, source }) => (source ? [[name, source]] : []))),
    settings: Object.fromEntries(scorers.map((scorer) => [scorer.name, settingsOf(scorer, prompts, decoding)])),
    overlap: shared,
  };
  return { results, samples: judged.samples, file: await saveResults(out, results, judged.samples, kept) };
}

/** How answers are made, as the results tell it. */
export function decodingOf(options: EvalOptions): Settings {
  return { maxNewTokens: options.maxNewTokens, temperature: 0, ...drawingOf(options) };
}

/** Undefined for greedy answers. */
function drawingOf({ temperature = 0, topK, topP, seed }: EvalOptions): Drawing | undefined {
  if (temperature === 0) return undefined;
  return { temperature, ...(topK === undefined ? {} : { topK }), ...(topP === undefined ? {} : { topP }), seed };
}

/** What a metric's values rest on: answers on how they are made, but for the seed; a look at the data's own answers on these. */
function settingsOf(
  { settings, ofModel, ofShown }: Scorer,
  prompts: readonly Prompt[],
  { seed: _, ...decoding }: Settings,
): Settings {
  const answers = prompts.map(({ shown }) => shown ?? null);
  const data = createHash("sha256").update(JSON.stringify(answers)).digest("hex");
  return { ...settings, ...(ofModel ? {} : decoding), ...(ofShown ? { data } : {}) };
}

/** Answers of one model and one purpose, kept in the folder of the results until these are there. */
async function keepAnswers(
  { chat, identity }: OpenChat,
  [stage, of]: readonly [stage: string, of?: string],
  { out, batch }: EvalOptions,
  io: Pick<Io, "progress">,
  files: string[],
): Promise<ChatModel> {
  const key = createHash("sha256").update(JSON.stringify([toolVersion, identity, stage, of]));
  const file = join(out, `.work_${key.digest("hex").slice(0, 16)}.jsonl`);
  files.push(file);
  return keptTold(chat, file, { batch, stage }, io);
}

/** What the results are called by: a file's name, or a data set's with its split. */
function taskOf(prompts: string): string {
  const spelled = parseSource(prompts);
  if (spelled.kind === "named") return prompts.replace(/[=#].*/, "").replace("/", "-");
  const path = spelled.kind === "file" ? spelled.file : spelled.file.path;
  return basename(path, extname(path));
}

/** Prompts that the safe data hold too: a method has seen those. Templates would hide what is equal, so both are read without. */
async function overlapWith({ safeData, prompts, limit }: EvalOptions, access: SourceAccess) {
  if (safeData === undefined) return undefined;
  const read = (source: string) => loadSource(source, access, { seed: 0, bare: true });
  const asked = (await read(prompts)).slice(0, limit);
  const { b, count } = overlap(await read(safeData), asked);
  if (count > 0)
    access.warn(`${count} of ${asked.length} prompts are in ${safeData} too: these do not show what is new.`);
  return { file: safeData, count, indices: b };
}
