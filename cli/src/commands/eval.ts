import { missedGates, readResults } from "@safedelta/evaluation";
import { readSecretPrompt, requireSystemPrompts } from "@safedelta/pipeline";
import { defineCommand, required } from "../command.ts";
import { askSecretly, type Tested } from "../eval/askSecretly.ts";
import { compareFinished, compareTold } from "../eval/compareFinished.ts";
import { type EvalFlags, flags } from "../eval/flags.ts";
import { tellMissed } from "../eval/gates.ts";
import { type GivenAnswers, readAnswers, requireAnswersOf } from "../eval/givenAnswers.ts";
import { identifyLocal, openBeside, openLocal } from "../eval/openChat.ts";
import { requestOf } from "../eval/requestOf.ts";
import { decodingOf, type EvalParts, hashPrompts, loadPrompts, requireJudgeable, runEval } from "../eval/runEval.ts";
import { agreementTable, comparisonTable, resultsTable } from "../eval/tables.ts";
import { exitCode, UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";

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
    if (options.compare === undefined) await requestOf(options, spec, given);
  },
  async run(options, [spec], io, given) {
    if (options.compare !== undefined) return compareFinished(options, spec, given, io);
    const request = await requestOf(options, spec, given);
    const { prompts: source, wanted, gates } = request;
    const names = wanted.map(({ name }) => name);
    const asked = { ...options, prompts: source, out: options.out ?? "eval" };
    const { against } = options;
    const other =
      against === undefined ? undefined : { ...(await readResults(against)), named: `--against ${against}` };
    if (other && !other.results.metrics.some(({ metric }) => names.includes(metric)))
      throw new UsageError(`${other.named}: it has none of the metrics ${names.join(", ")}.`);
    const prompts = await loadPrompts(asked, io);
    if (other && other.results.promptsSha256 !== hashPrompts(prompts))
      throw new UsageError(`${other.named}: it was asked other prompts, so the answers would not pair up.`);
    requireJudgeable(wanted, prompts);
    const basis = { promptsSha256: hashPrompts(prompts), decoding: decodingOf(asked) };
    const answers = options.answers === undefined ? undefined : await readAnswers(options.answers, prompts, basis);
    if (answers) io.note(`answers: those of ${answers.source.file}, judged again`);
    await using parts = await openParts(options, spec, { ...request, answers }, io);
    const { results, samples, file } = await runEval(parts, prompts, asked, io);
    io.print(resultsTable(results.task, results.metrics));
    if (results.agreement.length > 0) io.print(`\n${agreementTable(results.agreement)}`);
    const own = { results, samples, named: "this evaluation" };
    const comparison = other && compareTold(other, own, io);
    if (comparison) io.print(`\n${comparisonTable(comparison)}`);
    io.note(`written: ${file}`);
    const failed = tellMissed(missedGates(gates, results.metrics, comparison), other ? [own, other] : [own], io);
    io.document({ ...results, file, comparison, failed });
    return failed.length > 0 ? exitCode.gateMissed : undefined;
  },
});

/** Everything that answers and judges; disposing it frees the models. */
async function openParts(
  options: EvalFlags,
  spec: string | undefined,
  { wanted, judges, remote, answers }: Awaited<ReturnType<typeof requestOf>> & { readonly answers?: GivenAnswers },
  io: Io,
): Promise<EvalParts & AsyncDisposable> {
  await using owned = new AsyncDisposableStack();
  const { secretPrompt } = options;
  const secret = secretPrompt === undefined ? undefined : await readSecretPrompt(secretPrompt);
  const judgesOnly = answers !== undefined && !wanted.some(({ needs }) => needs.includes("model"));
  const local =
    spec === undefined || judgesOnly
      ? undefined
      : owned.use(await openLocal(spec, { ...options, batchSize: options.batch }, io));
  const unloaded =
    spec !== undefined && judgesOnly
      ? { chat: answers.chat, identity: await identifyLocal(spec, options, io) }
      : undefined;
  const beside = async (role: "aligned" | "tuned") => {
    const other = options[role];
    if (other === undefined || local === undefined) return undefined;
    return owned.use(await openBeside(local.opened, other, options.offline, io));
  };
  const [aligned, tuned] = [await beside("aligned"), await beside("tuned")];
  const bare: Tested = local ?? unloaded ?? required(remote, "MODEL");
  if (secret !== undefined && local !== undefined) requireSystemPrompts(local.opened.tokenizer);
  const asked = secret === undefined ? bare : askSecretly(bare, secret, String(secretPrompt));
  if (answers) requireAnswersOf(answers, asked.identity);
  const tested = { ...asked, ...(answers && { chat: answers.chat }) };
  const held = owned.move();
  const parts = { tested, judges, wanted, opened: tested.opened, aligned, tuned, answersFrom: answers?.source };
  return { ...parts, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
