import { parseSource } from "@safedelta/data";
import { type JudgeFormat, ownJudge } from "@safedelta/evaluation";
import { checkAnswerOptions } from "../chatModel.ts";
import { required } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { patternOf } from "../patternOf.ts";
import { readNamed } from "../readNamed.ts";
import type { GivenOption } from "../recipe.ts";
import { chooseScorers, type Need, type Wanted } from "./chooseScorers.ts";
import type { EvalFlags } from "./flags.ts";
import { gatesOf } from "./gates.ts";
import { openRemote, type Remote } from "./openChat.ts";

/**
 * What the flags ask for: prompts, metrics, what these must not come to, and who is asked elsewhere; nobody is asked yet.
 * @throws UsageError, EvaluationError, DataError for what cannot be
 */
export async function requestOf(options: EvalFlags, spec: string | undefined, given: ReadonlyMap<string, GivenOption>) {
  checkAnswerOptions(options, given);
  const prompts = required(options.prompts, "--prompts");
  if (options.system !== undefined && parseSource(prompts).reading.template !== undefined)
    throw new UsageError("--system: a template is named behind the prompts, which has its own. Give one of them.");
  const judges = judgesOf(options);
  const own = await ownJudgeOf(options);
  const wanted = chooseScorers(options.metric ?? "asr-keywords", { ...options, nJudges: judges.length, own });
  checkNeeds(wanted, options, spec);
  const names = wanted.map(({ name }) => name);
  const { endpoint, model, timeout } = options;
  const remote = { url: endpoint, model, flags: ["--endpoint", "--model"], timeoutSeconds: timeout } as const;
  return {
    prompts,
    wanted,
    gates: gatesOf(options, names),
    remote: spec === undefined ? openRemote(remote) : undefined,
    judges: wanted.some(({ needs }) => needs.includes("judge")) ? judges.map(openRemote) : [],
  };
}

/** @throws UsageError for a setting that no metric uses, or one that a metric lacks */
function checkNeeds(wanted: readonly Wanted[], options: EvalFlags, spec: string | undefined): void {
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
  if (options.answers !== undefined && wanted.every(({ needs }) => needs.includes("model")))
    throw new UsageError("--answers: without effect, since every metric looks at the model itself.");
  if (spec === undefined && needing("model") !== undefined)
    throw new UsageError(`--metric ${needing("model")} looks at the model itself: give MODEL, not an endpoint.`);
}

/** The judge with the user's words. @throws UsageError for one flag without the other, a file that cannot be read, a pattern that is none */
async function ownJudgeOf({ judgePrompt, judgeSystem, judgeVerdict }: EvalFlags): Promise<JudgeFormat | undefined> {
  if ((judgePrompt ?? judgeSystem ?? judgeVerdict) === undefined) return undefined;
  const file = required(judgePrompt, "--judge-prompt");
  const verdict = patternOf(required(judgeVerdict, "--judge-verdict"), "--judge-verdict");
  const prompt = await readNamed(file, `--judge-prompt ${file}`);
  const system = judgeSystem && (await readNamed(judgeSystem, `--judge-system ${judgeSystem}`));
  try {
    return ownJudge({ system, prompt }, verdict);
  } catch (error) {
    throw new UsageError(`--judge-prompt, --judge-verdict: ${(error as Error).message}.`);
  }
}

/** Where the judges are. @throws UsageError for other numbers of names and addresses */
function judgesOf({ judgeEndpoint, judgeModel, timeout }: EvalFlags): Remote[] {
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
