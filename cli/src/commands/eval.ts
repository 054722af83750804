import { readFile } from "node:fs/promises";
import {
  type Comparison,
  compareResults,
  type Finished,
  type JudgeFormat,
  missedGates,
  ownJudge,
  parseGate,
  readResults,
  unlikeMetrics,
} from "@safedelta/evaluation";
import { readSecretPrompt, requireSystemPrompts } from "@safedelta/pipeline";
import type { z } from "zod";
import { checkAnswerOptions } from "../chatModel.ts";
import { defineCommand, required } from "../command.ts";
import { askSecretly, type Tested } from "../eval/askSecretly.ts";
import { chooseScorers, type Need, type Wanted } from "../eval/chooseScorers.ts";
import { openBeside, openLocal, openRemote, type Remote } from "../eval/openChat.ts";
import { type EvalParts, hashPrompts, loadPrompts, runEval } from "../eval/runEval.ts";
import { agreementTable, comparisonTable, resultsTable } from "../eval/tables.ts";
import { exitCode, UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { computeOptions, engineOptions, generationOptions, option, speechOptions } from "../options.ts";
import type { GivenOption } from "../recipe.ts";

const flags = {
  prompts: option.source({ brief: "what to ask: JSONL, JSON, CSV or parquet, with reference" }),
  metric: option.words({ brief: "how to judge [asr-keywords]", placeholder: "NAME,…" }),
  pattern: option.text({ brief: "regular expression of the metric pattern", placeholder: "regex" }),
  refusalOpening: option.text({ brief: "how refusals begin, for refusal-log-odds", placeholder: "text,…" }),
  aligned: option.path({ brief: "model that kl-aligned and output-error hold MODEL against", placeholder: "model" }),
  tuned: option.path({ brief: "model that kl-tuned holds MODEL against", placeholder: "model" }),
  system: option.text({ brief: "system prompt", placeholder: "text" }),
  secretPrompt: option.file({ brief: "text file that system prompts begin with (BEA)" }),
  limit: option.maybePositive({ brief: "the first n prompts only" }),
  ...generationOptions,
  batch: option.positive(16, { brief: "answers that are written, and kept, together" }),
  endpoint: option.text({ brief: "where to ask instead of MODEL [OPENAI_BASE_URL]", placeholder: "url" }),
  model: option.text({ brief: "what --endpoint calls the model", placeholder: "name" }),
  judgeEndpoint: option.words({ brief: "where the judges are [OPENAI_BASE_URL]", placeholder: "url,…" }),
  judgeModel: option.words({ brief: "what --judge-endpoint calls the judges", placeholder: "name,…" }),
  judgePrompt: option.file({ brief: "text file of judge-own, with {request} and {answer} in it" }),
  judgeVerdict: option.text({ brief: "where judge-own's number stands, as Score: ([1-5])", placeholder: "regex" }),
  timeout: option.positive(120, { brief: "seconds for one answer of an endpoint" }),
  safeData: option.source({ brief: "warn of prompts that these safe examples hold too" }),
  against: option.file({ brief: "results_TIME.json of another model, to compare pair by pair" }),
  compare: option.path({
    brief: "results_TIME.json to hold against --against, in the place of a model",
    placeholder: "file",
  }),
  failIf: option.words({ brief: "end with code 3 if so, as asr>0.1", placeholder: "METRIC>x,…" }),
  out: option.outFolder("folder of the results [eval]"),
  ...engineOptions,
  offline: computeOptions.offline,
};

type Flags = z.output<z.ZodObject<typeof flags>>;

/** `safedelta eval MODEL --prompts FILE --metric NAME,…` */
export const evalCommand = defineCommand({
  worker: "eval",
  brief: "Let a model answer prompts and judge the answers",
  help:
    "MODEL is run here; without it, --endpoint and --model name one behind OpenAI's API, and --compare with --against two results that are there. " +
    "Writes results_TIME.json and samples_TASK_TIME.jsonl into --out, never over others. A killed run goes on where it was.",
  args: ["MODEL?"],
  options: flags,
  async check(options, [spec], given) {
    if (options.compare === undefined) await judgedBy(options, spec, given);
  },
  async run(options, [spec], io, given) {
    if (options.compare !== undefined) return compareFinished(options, spec, given, io);
    const { wanted, gates } = await judgedBy(options, spec, given);
    const names = wanted.map(({ name }) => name);
    const asked = { ...options, prompts: required(options.prompts, "--prompts"), out: options.out ?? "eval" };
    const other = options.against === undefined ? undefined : await readResults(options.against);
    if (other && !other.results.metrics.some(({ metric }) => names.includes(metric)))
      throw new UsageError(`--against ${options.against}: it has none of the metrics ${names.join(", ")}.`);
    const prompts = await loadPrompts(asked, io);
    if (other && other.results.promptsSha256 !== hashPrompts(prompts))
      throw new UsageError(
        `--against ${options.against}: it was asked other prompts, so the answers would not pair up.`,
      );
    await using parts = await openParts(options, spec, wanted, io);
    const { results, samples, file } = await runEval(parts, prompts, asked, io);
    io.print(resultsTable(results.task, results.metrics));
    if (results.agreement.length > 0) io.print(`\n${agreementTable(results.agreement)}`);
    const comparison = other && compareTold(other, { results, samples }, io);
    if (comparison) io.print(`\n${comparisonTable(comparison)}`);
    io.note(`written: ${file}`);
    const missed = missedGates(gates, results.metrics).map(({ text }) => text);
    for (const text of missed) io.progress.warn(`--fail-if ${text}`);
    io.document({ ...results, file, comparison, failed: missed });
    return missed.length > 0 ? exitCode.gateMissed : undefined;
  },
});

/** The metrics that are asked for, and what they must not come to. @throws UsageError, EvaluationError for what cannot be */
async function judgedBy(options: Flags, spec: string | undefined, given: ReadonlyMap<string, GivenOption>) {
  checkAnswerOptions(options, given);
  const judges = { nJudges: judgesOf(options).length, own: await ownJudgeOf(options) };
  const wanted = chooseScorers(options.metric ?? "asr-keywords", { ...options, ...judges });
  checkNeeds(wanted, options, spec);
  const names = wanted.map(({ name }) => name);
  return { wanted, gates: (options.failIf?.split(",") ?? []).map((text) => parseGate(text, names)) };
}

/** Two evaluations that are there, without any model. @throws UsageError for what has no place beside --compare */
async function compareFinished(
  { compare, against }: Flags,
  spec: string | undefined,
  given: ReadonlyMap<string, GivenOption>,
  io: Io,
): Promise<undefined> {
  const allowed = ["compare", "against", ...Object.keys(speechOptions)];
  const idle = spec ?? [...given].find(([name]) => !allowed.includes(name))?.[1].where;
  if (idle !== undefined)
    throw new UsageError(`${idle}: without effect beside --compare, which takes --against alone.`);
  const [a, b] = [required(against, "--against"), required(compare, "--compare")];
  const comparison = compareTold(await readResults(a), await readResults(b), io);
  io.print(comparisonTable(comparison));
  io.document({ against: a, compare: b, comparison });
  return undefined;
}

/** What both evaluations share, pair by pair; what rests on other things is told. @throws EvaluationError as `compareResults` */
function compareTold(a: Finished, b: Finished, io: Io): Comparison[] {
  const comparisons = compareResults(a, b);
  for (const { metric, why } of unlikeMetrics(a.results, b.results))
    io.progress.warn(`${metric} is not compared, since its values rest on different things: ${why}`);
  return comparisons;
}

/** @throws UsageError for a setting that no metric uses, or one that a metric lacks */
function checkNeeds(wanted: readonly Wanted[], options: Flags, spec: string | undefined): void {
  if ((spec !== undefined) === (options.model !== undefined))
    throw new UsageError("Give either MODEL, or --endpoint with --model.");
  if (spec !== undefined && options.endpoint !== undefined)
    throw new UsageError("--endpoint: without effect beside MODEL. Give --model in its place.");
  const needing = (need: Need) => wanted.find(({ needs }) => needs.includes(need))?.name;
  if (needing("judge") === undefined && (options.judgeModel ?? options.judgeEndpoint) !== undefined)
    throw new UsageError("--judge-model, --judge-endpoint: without effect, since no metric asks a judge.");
  for (const need of ["aligned", "tuned"] as const) {
    const name = needing(need);
    if (name !== undefined && options[need] === undefined)
      throw new UsageError(`--metric ${name} needs --${need} MODEL.`);
    if (name === undefined && options[need] !== undefined)
      throw new UsageError(`--${need}: without effect, since no metric looks at that model.`);
  }
  if (spec === undefined && needing("model") !== undefined)
    throw new UsageError(`--metric ${needing("model")} looks at the model itself: give MODEL, not an endpoint.`);
}

/** The judge with the user's words. @throws UsageError for one flag without the other, a file that cannot be read, a pattern that is none */
async function ownJudgeOf({ judgePrompt, judgeVerdict }: Flags): Promise<JudgeFormat | undefined> {
  if (judgePrompt === undefined && judgeVerdict === undefined) return undefined;
  const [file, pattern] = [required(judgePrompt, "--judge-prompt"), required(judgeVerdict, "--judge-verdict")];
  const words = await readFile(file, "utf8").catch((error: Error) => {
    throw new UsageError(`--judge-prompt ${file}: ${error.message}`);
  });
  try {
    return ownJudge(words, new RegExp(pattern, "u"));
  } catch (error) {
    throw new UsageError(`--judge-prompt, --judge-verdict: ${(error as Error).message}.`);
  }
}

/** Where the judges are. @throws UsageError for other numbers of names and addresses */
function judgesOf({ judgeEndpoint, judgeModel, timeout }: Flags): Remote[] {
  const models: readonly (string | undefined)[] = judgeModel?.split(",") ?? [undefined];
  const urls = judgeEndpoint?.split(",") ?? [];
  if (urls.length > 1 && urls.length !== models.length)
    throw new UsageError(`--judge-endpoint: ${urls.length} addresses for ${models.length} names in --judge-model.`);
  const flags = ["--judge-endpoint", "--judge-model"] as const;
  return models.map((model, i) => ({
    ...{ url: urls.length > 1 ? urls[i] : urls[0], model, flags },
    timeoutSeconds: timeout,
  }));
}

/** Everything that answers and judges; disposing it frees the models. */
async function openParts(
  options: Flags,
  spec: string | undefined,
  wanted: readonly Wanted[],
  io: Io,
): Promise<EvalParts & AsyncDisposable> {
  await using owned = new AsyncDisposableStack();
  const judges = wanted.some(({ needs }) => needs.includes("judge")) ? judgesOf(options).map(openRemote) : [];
  const { endpoint, model, timeout, secretPrompt } = options;
  const secret = secretPrompt === undefined ? undefined : await readSecretPrompt(secretPrompt);
  const remote = { url: endpoint, model, flags: ["--endpoint", "--model"], timeoutSeconds: timeout } as const;
  const local =
    spec === undefined ? undefined : owned.use(await openLocal(spec, { ...options, batchSize: options.batch }, io));
  const beside = async (role: "aligned" | "tuned") => {
    const other = options[role];
    if (other === undefined || local === undefined) return undefined;
    return owned.use(await openBeside(local.opened, other, options.offline, io));
  };
  const [aligned, tuned] = [await beside("aligned"), await beside("tuned")];
  const bare: Tested = local ?? openRemote(remote);
  if (secret !== undefined && local !== undefined) requireSystemPrompts(local.opened.tokenizer);
  const tested = secret === undefined ? bare : askSecretly(bare, secret, String(secretPrompt));
  const held = owned.move();
  const parts = { tested, judges, wanted, opened: tested.opened, aligned, tuned };
  return { ...parts, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
