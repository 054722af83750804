import type { EngineInfo } from "@safedelta/engine";
import {
  assumedDevice,
  checkRecipe,
  type FinetuneFacts,
  type FinetuneOptions,
  finetune,
  type PlannedFinetuning,
  peakResidentBytes,
  planFinetune,
} from "@safedelta/pipeline";
import { formatBytes, formatMs, formatNumber, lossPlot } from "@safedelta/report";
import type { z } from "zod";
import { defineCommand, refuseIdle, required } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { describeTraining } from "../finetuneFiles.ts";
import type { Io } from "../io.ts";
import { openTold } from "../openTold.ts";
import { computeOptions, option, outputOptions, trainingOptions } from "../options.ts";
import type { GivenOption } from "../recipe.ts";
import { stageClock } from "../stageClock.ts";
import { assumption, planLine, timed } from "../words.ts";

const flags = {
  ...trainingOptions,
  ...computeOptions,
  ...outputOptions,
  maxShardSize: option.size({ brief: "largest weight file [5GB]" }),
};

type Flags = z.output<z.ZodObject<typeof flags>>;

/** `safedelta finetune MODEL --data FILE --out OUT` */
export const finetuneCommand = defineCommand({
  worker: "finetune",
  brief: "Fine-tune a model, or train a LoRA adapter on it",
  help:
    "Reads MODEL (folder, BASE+ADAPTER, file.gguf or Hub id) and conversations; the loss counts the answers' tokens only. Writes the model " +
    "(with --lora-rank a PEFT adapter) with a model card, loss.svg and training.json. An interrupted run goes on when the same command is given again.",
  args: ["MODEL"],
  options: flags,
  async check(options, [model], given) {
    checkRecipe(requestOf(options, model, given));
  },
  async run(options, [model], io, given) {
    const request = requestOf(options, model, given);
    const started = performance.now();
    using engine = await openTold(options, io);
    const tell = (planned: PlannedFinetuning) => io.note(planText(planned, engine.info));
    if (options.dryRun) {
      const planned = await planFinetune(request, io.progress);
      tell(planned);
      return printPlan(io, request, engine.info, planned);
    }
    const clock = stageClock(io.progress);
    const facts = await finetune(engine, request, describeTraining(request), clock, tell);
    const timing = { ms: performance.now() - started, peakMemoryBytes: peakResidentBytes(), stages: clock.stages() };
    const tokens = facts.log.reduce((sum, { nTokens }) => sum + nTokens, 0);
    io.document({ out: request.out, ...facts, ...timing, tokens });
    io.print(`${lossPlot(facts.log)}\n`);
    io.print(summary(request, facts, timing));
    return undefined;
  },
});

/** What the flags ask for. @throws UsageError for flags that do not go together */
function requestOf(
  options: Flags,
  model: string | undefined,
  given: ReadonlyMap<string, GivenOption>,
): FinetuneOptions {
  if (options.loraRank === undefined && (options.loraAlpha !== undefined || options.loraTargets !== undefined))
    throw new UsageError("--lora-alpha and --lora-targets need --lora-rank.");
  if (options.mixSafe === undefined && (options.mixSamples !== undefined || options.secretPrompt !== undefined))
    throw new UsageError("--mix-samples and --secret-prompt need --mix-safe.");
  refuseIdle(given, "loraRank", ["train", "dtype", "maxShardSize"]);
  const { loraRank: rank, beta1, beta2, eps, weightDecay } = options;
  const targets = options.loraTargets?.split(",").map((word) => word.trim());
  return {
    model: required(model, "MODEL"),
    data: required(options.data, "--data"),
    safetyMix:
      options.mixSafe === undefined
        ? undefined
        : { file: options.mixSafe, samples: options.mixSamples, secretFile: options.secretPrompt },
    out: required(options.out, "--out"),
    weights: options.weights,
    part: options.train,
    lora: rank === undefined ? undefined : { rank, alpha: options.loraAlpha ?? 2 * rank, targets },
    rate: options.lr,
    schedule: options.schedule,
    warmup: options.warmup,
    epochDecay: options.epochDecay,
    clip: options.clip,
    adamW: { beta1, beta2, eps, weightDecay },
    batch: options.batch,
    epochs: options.epochs,
    maxUpdates: options.maxUpdates,
    maxTokens: options.maxTokens,
    passTokens: options.passTokens,
    seed: options.seed,
    dtype: options.dtype && storageTypes[options.dtype],
    saveMinutes: options.saveMinutes,
    maxShardBytes: options.maxShardSize ?? 5e9,
    offline: options.offline,
    overwrite: options.overwrite,
    maxMemoryBytes: options.maxMemory,
  };
}

const storageTypes = { f32: "F32", f16: "F16", bf16: "BF16" } as const;

function planText({ data, plan }: PlannedFinetuning, engine: EngineInfo): string {
  const { nExamples, nAvailable, file, nTokens, nTargets } = data;
  const mixed = data.safetyMix ? `, ${data.safetyMix.nExamples} of ${data.safetyMix.file} among them` : "";
  const again = plan.recompute ? "; layers are run twice to save memory" : "";
  return [
    `data: ${nExamples} of ${nAvailable} conversations of ${file}${mixed}, ${nTokens} tokens an epoch, ${nTargets} of them count`,
    `training: ${formatNumber(plan.nTrained)} numbers in ${plan.updates.length} updates${again}; ${planLine(plan.estimate, plan.estimate.outputBytes, assumedDevice(engine))}`,
  ].join("\n");
}

function printPlan(
  io: Io,
  { out, model }: FinetuneOptions,
  engine: EngineInfo,
  { data, plan }: PlannedFinetuning,
): undefined {
  const { updates, ...known } = plan;
  const assumed = assumedDevice(engine);
  const estimate = timed(plan.estimate, assumed);
  const told = { ...known, estimate, assumed: assumption(assumed) };
  io.document({ dryRun: true, model, out, engine: engine.name, data, nUpdates: updates.length, ...told });
  io.print(`would write ${out}: ${planLine(estimate, estimate.outputBytes, assumed)}`);
  io.print("nothing was written");
}

function summary(
  { model, out, lora }: FinetuneOptions,
  { log, nTrained }: FinetuneFacts,
  { ms, peakMemoryBytes }: { ms: number; peakMemoryBytes: number },
): string {
  const [first, last] = [log[0], log[log.length - 1]];
  const what = lora ? "trained an adapter on" : "fine-tuned";
  return [
    `${what} ${model}: ${formatNumber(nTrained)} numbers, ${log.length} updates`,
    `  loss          ${formatNumber(first.loss)} at first, ${formatNumber(last.loss)} at last`,
    `  took          ${formatMs(ms)}, peak memory ${formatBytes(peakMemoryBytes)}`,
    `written: ${out} (model card README.md, loss.svg, training.json)`,
  ].join("\n");
}
