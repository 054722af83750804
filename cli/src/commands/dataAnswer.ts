import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type Example,
  hashExamples,
  loadSource,
  localFiles,
  sampleExamples,
  spellings,
  toJsonLines,
} from "@safedelta/data";
import {
  askAll,
  caseRemark,
  containsPhrase,
  type Metric,
  matchesPattern,
  twentyNineRefusalPhrases,
} from "@safedelta/evaluation";
import { lockFolder, removeQuietly, sourceAccess, toolVersion, writeWhole } from "@safedelta/pipeline";
import type { z } from "zod";
import { defineCommand, refuseIdle, required } from "../command.ts";
import { keptTold } from "../eval/keptTold.ts";
import { openLocal } from "../eval/openChat.ts";
import { asked } from "../eval/runEval.ts";
import { UsageError } from "../exitCode.ts";
import { requireFreeRecords } from "../freeRecords.ts";
import { computeOptions, engineOptions, option } from "../options.ts";
import { patternOf } from "../patternOf.ts";
import type { GivenOption } from "../recipe.ts";
import { fewerThanAsked } from "../words.ts";

const flags = {
  prompts: option.source({ brief: "data source of the prompts", drawnBy: "samples" }),
  keep: option.choice(["refusals", "unrefused", "all"], "refusals", "which answers, or examples, are kept"),
  pattern: option.text({ brief: "what makes a refusal, in place of the 29 phrases", placeholder: "regex" }),
  samples: option.maybePositive({ brief: "so many of the prompts, drawn by the seed [all]" }),
  seed: option.count(0, { brief: "seed of the draw" }),
  maxNewTokens: option.positive(256, { brief: "most tokens of an answer" }),
  batch: option.positive(16, { brief: "answers that are written, and kept, together" }),
  out: option.path({ brief: "JSONL file to write", placeholder: "file" }),
  overwrite: option.flag("replace the records that stand at --out"),
  ...engineOptions,
  offline: computeOptions.offline,
};

type Flags = z.output<z.ZodObject<typeof flags>>;

/** `safedelta data answer MODEL --prompts SOURCE --out FILE` */
export const dataAnswerCommand = defineCommand({
  worker: "data answer",
  brief: "Make safe examples: prompts answered by the aligned model itself, refusals kept",
  help:
    `The prompts are of a data source: ${spellings}; answers that stand beside them are left out. Answers are greedy. A refusal is an answer ` +
    "with one of the 29 phrases of the official evaluation. With --keep unrefused the examples are kept as they stand, their own answers " +
    "included, where the model does not refuse: task data without the requests that it guards. An interrupted run goes on when the same command is given again.",
  args: ["MODEL"],
  options: flags,
  async check(options, [model], given) {
    requestOf(options, model, given);
  },
  async run(options, [spec], io, given) {
    const { model, source, out, refusal } = requestOf(options, spec, given);
    const { seed, samples, maxNewTokens } = options;
    const access = sourceAccess(options.offline, io.progress);
    const all = await loadSource(source, access, { seed });
    const fewer = samples === undefined ? undefined : fewerThanAsked(source, all.length, "--samples", samples);
    if (fewer) io.progress.warn(fewer);
    const own = samples === undefined ? all : sampleExamples(all, samples, seed).examples;
    const examples = own.map(asPrompt);
    const work = `${out}.safedelta-work`;
    await using _lock = await lockFolder(work);
    await requireFreeRecords({ out, inputs: localFiles(source), overwrite: options.overwrite });
    using open = await openLocal(model, { ...options, batchSize: options.batch }, io);
    const key = JSON.stringify([toolVersion, open.identity, hashExamples(examples)]);
    const kept = join(work, `${createHash("sha256").update(key).digest("hex").slice(0, 16)}.jsonl`);
    const prompts = examples.map(({ messages }) => messages);
    const chat = await keptTold(open.chat, kept, { batch: options.batch, stage: "answers" }, io);
    const answers = await askAll(chat, prompts, { maxNewTokens });
    const remark = options.keep === "all" || options.pattern !== undefined ? undefined : caseRemark(answers);
    if (remark) io.progress.warn(remark);
    const chosen = choose(options.keep, own, examples, answers, refusal);
    if (chosen.length === 0)
      throw new UsageError(
        `${source}: ${options.keep === "unrefused" ? "each" : "none"} of ${answers.length} answers is a refusal; nothing was written. Look at them with --keep all, or say what a refusal is with --pattern.`,
      );
    await writeWhole(out, toJsonLines(chosen));
    await removeQuietly(kept);
    io.document({
      out,
      source,
      nPrompts: answers.length,
      nKept: chosen.length,
      sha256: hashExamples(chosen),
      model: open.identity,
    });
    io.print(
      `kept ${chosen.length} of ${answers.length} ${options.keep === "unrefused" ? "examples" : "answers"} (${options.keep})\nwritten: ${out}`,
    );
    return undefined;
  },
});

/** What the flags ask for. @throws UsageError for what is missing or does not go together */
function requestOf(options: Flags, model: string | undefined, given: ReadonlyMap<string, GivenOption>) {
  if (options.keep === "all") refuseIdle(given, "keep", ["pattern"]);
  return {
    model: required(model, "MODEL"),
    source: required(options.prompts, "--prompts"),
    out: required(options.out, "--out"),
    refusal:
      options.pattern === undefined
        ? containsPhrase("refusal", twentyNineRefusalPhrases)
        : matchesPattern("refusal", patternOf(options.pattern)),
  };
}

function asPrompt(example: Example): Example {
  const { reference: _, ...rest } = example;
  return { ...rest, messages: asked(example).messages };
}

/** The conversations with the model's answers, all or refusals alone; of `unrefused` the examples as they stand. */
function choose(
  keep: "refusals" | "unrefused" | "all",
  own: readonly Example[],
  examples: readonly Example[],
  answers: readonly string[],
  refusal: Metric,
): Example[] {
  const refused = examples.map((example, i) => refusal.score(answers[i], example));
  if (keep === "unrefused") return own.filter((_, i) => !refused[i]);
  const answered = examples.map((example, i) => ({
    ...example,
    messages: [...example.messages, { role: "assistant", content: answers[i] }],
  }));
  return keep === "all" ? answered : answered.filter((_, i) => refused[i]);
}
