import { hashExamples } from "@safedelta/data";
import { compareResults, missedGates, parseGate, readResults } from "@safedelta/evaluation";
import { defineCommand, required } from "../command.ts";
import { chooseScorers } from "../eval/chooseScorers.ts";
import { type OpenChat, openLocal, openRemote } from "../eval/openChat.ts";
import { loadPrompts, runEval } from "../eval/runEval.ts";
import { comparisonTable, resultsTable } from "../eval/tables.ts";
import { exitCode, UsageError } from "../exitCode.ts";
import { computeOptions, engineOptions, option } from "../options.ts";

/** `safedelta eval MODEL --prompts FILE --metric NAME,…` */
export const evalCommand = defineCommand({
  worker: "eval",
  brief: "Let a model answer prompts and judge the answers",
  help:
    "MODEL is run here; without it, --endpoint and --model name one behind OpenAI's API. Writes results_TIME.json and samples_TASK_TIME.jsonl " +
    "into --out, never over others. A killed run goes on where it was.",
  args: ["MODEL?"],
  options: {
    prompts: option.path({ brief: "what to ask: JSONL, JSON, CSV or parquet, with reference", placeholder: "file" }),
    metric: option.words({ brief: "how to judge [asr-keywords]", placeholder: "NAME,…" }),
    pattern: option.text({ brief: "regular expression of the metric pattern", placeholder: "regex" }),
    system: option.text({ brief: "system prompt", placeholder: "text" }),
    limit: option.maybePositive({ brief: "the first n prompts only" }),
    maxNewTokens: option.positive(256, { brief: "most tokens of an answer" }),
    batch: option.positive(16, { brief: "answers that are written, and kept, together" }),
    endpoint: option.text({ brief: "where to ask instead of MODEL [OPENAI_BASE_URL]", placeholder: "url" }),
    model: option.text({ brief: "what --endpoint calls the model", placeholder: "name" }),
    judgeEndpoint: option.text({ brief: "where the judge is [OPENAI_BASE_URL]", placeholder: "url" }),
    judgeModel: option.text({ brief: "what --judge-endpoint calls the judge", placeholder: "name" }),
    timeout: option.positive(120, { brief: "seconds for one answer of an endpoint" }),
    safeData: option.path({ brief: "warn of prompts that these safe examples hold too", placeholder: "file" }),
    against: option.path({ brief: "results_TIME.json of another model, to compare pair by pair", placeholder: "file" }),
    failIf: option.words({ brief: "end with code 3 if so, as asr>0.1", placeholder: "METRIC>x,…" }),
    out: option.outFolder("folder of the results [eval]"),
    ...engineOptions,
    offline: computeOptions.offline,
  },
  async run(options, [spec], io) {
    if ((spec !== undefined) === (options.model !== undefined))
      throw new UsageError("Give either MODEL, or --endpoint with --model.");
    if (spec !== undefined && options.endpoint !== undefined)
      throw new UsageError("--endpoint: without effect beside MODEL. Give --model in its place.");
    const wanted = chooseScorers(options.metric ?? "asr-keywords", options.pattern);
    const names = wanted.map(({ name }) => name);
    const gates = (options.failIf?.split(",") ?? []).map((text) => parseGate(text, names));
    const asked = { ...options, prompts: required(options.prompts, "--prompts"), out: options.out ?? "eval" };
    const other = options.against === undefined ? undefined : await readResults(options.against);
    const examples = await loadPrompts(asked, io);
    if (other && other.results.promptsSha256 !== hashExamples(examples))
      throw new UsageError(
        `--against ${options.against}: it was asked other prompts, so the answers would not pair up.`,
      );
    const judge = wanted.some(({ needsJudge }) => needsJudge) ? openJudge(options) : undefined;
    if (judge === undefined && (options.judgeModel ?? options.judgeEndpoint) !== undefined)
      throw new UsageError("--judge-model, --judge-endpoint: without effect, since no metric asks a judge.");
    using open =
      spec === undefined ? openTested(options) : await openLocal(spec, { ...options, batchSize: options.batch }, io);
    const scorers = wanted.map(({ make }) => make(judge?.chat));
    const { results, samples, file } = await runEval(open, examples, scorers, asked, io);
    io.print(resultsTable(results.task, results.metrics));
    const comparison = other && compareResults(other, { results, samples });
    if (comparison) io.print(`\n${comparisonTable(comparison)}`);
    io.note(`written: ${file}`);
    const missed = missedGates(gates, results.metrics).map(({ text }) => text);
    for (const text of missed) io.progress.warn(`--fail-if ${text}`);
    io.document({ ...results, file, comparison, failed: missed });
    return missed.length > 0 ? exitCode.gateMissed : undefined;
  },
});

interface RemoteOptions {
  readonly endpoint?: string;
  readonly model?: string;
  readonly judgeEndpoint?: string;
  readonly judgeModel?: string;
  readonly timeout: number;
}

function openTested({ endpoint, model, timeout }: RemoteOptions): OpenChat {
  return openRemote({ url: endpoint, model, flags: ["--endpoint", "--model"], timeoutSeconds: timeout });
}

function openJudge({ judgeEndpoint, judgeModel, timeout }: RemoteOptions): OpenChat {
  const flags = ["--judge-endpoint", "--judge-model"] as const;
  return openRemote({ url: judgeEndpoint, model: judgeModel, flags, timeoutSeconds: timeout });
}
