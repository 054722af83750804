import type { Engine, EngineInfo } from "@safedelta/engine";
import {
  type AnyOptions,
  type ApplyFacts,
  type ApplyOptions,
  type ApplyPlan,
  apply,
  applyAdapter,
  assumedDevice,
  checkApply,
  type Progress,
  peakResidentBytes,
  planApply,
  planApplyAdapter,
} from "@safedelta/pipeline";
import { formatBytes, formatMs, formatNumber, formatPercent, totalsOf } from "@safedelta/report";
import type { z } from "zod";
import { chooseBudget } from "../budget.ts";
import { defineCommand, refuseIdle, required } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { openTold } from "../openTold.ts";
import {
  budgetOptions,
  computeOptions,
  modeOption,
  option,
  outputOptions,
  safeDataOptions,
  statisticsOptions,
} from "../options.ts";
import { type GivenOption, ownOption } from "../recipe.ts";
import { describeRepair } from "../repairFiles.ts";
import { chooseRival, drawsMask, methodOptions, methodText } from "../rival.ts";
import { stageClock } from "../stageClock.ts";
import { assumption, dataLine, describeData, describeSafe, planLine, timed } from "../words.ts";

/** How examples are drawn and cut: of no use where none are read. */
const drawing = ["samples", "seed", "maxTokens"];

const flags = {
  aligned: option.model({ brief: "the model before fine-tuning" }),
  tuned: option.model({ brief: "the fine-tuned model, or its LoRA adapter" }),
  state: option.file({ brief: "folder that prepare wrote", placeholder: "folder", group: "statistics" }),
  ...methodOptions,
  mode: modeOption,
  ...budgetOptions,
  ...computeOptions,
  ...outputOptions,
  ...safeDataOptions,
  ...statisticsOptions,
  taskData: option.answered({
    brief: "examples of the fine-tuning task: optimal then stays close to the task's outputs",
    drawnBy: "samples",
  }),
  taskThrough: option.modelOr(["aligned", "tuned"], {
    brief:
      "the model whose activations on the task data count: one of the pair, or MODEL, an earlier repair of it [tuned]",
  }),
  rest: option.choice(["aligned", "tuned"], "aligned", "whose embeddings, norms and lm_head the output has"),
  outFormat: option.choice(["model", "lora"], "model", "write the whole model, or the repaired LoRA adapter"),
  maxShardSize: option.size({ brief: "largest weight file [5GB]" }),
};

type Flags = z.output<z.ZodObject<typeof flags>>;

/** `safedelta apply --aligned A --tuned T --state STATE --out OUT` */
export const applyCommand = defineCommand({
  worker: "apply",
  brief: "Repair a fine-tuned model",
  help:
    "Reads both models and a prepared state (or prepares on the way from --safe-data) and writes the repaired model with a model card, " +
    "a page (report.html) and safedelta.json. TUNED may be a LoRA adapter folder, which then applies to ALIGNED.",
  args: [],
  options: flags,
  async check(options, _args, given) {
    checkApply(requestOf(options, given));
  },
  async run(options, _args, io, given) {
    const request = requestOf(options, given);
    if (options.outFormat === "lora") refuseIdle(given, "outFormat", ["maxShardSize"]);
    const started = performance.now();
    using engine = await openTold(options, io);
    const { plan, make } = workOf(request, options.outFormat);
    if (options.dryRun) return printPlan(io, request, engine.info, await plan(engine, io.progress));
    const clock = stageClock(io.progress);
    const facts = await make(engine, clock);
    const timing = { ms: performance.now() - started, peakMemoryBytes: peakResidentBytes(), stages: clock.stages() };
    const totals = totalsOf(facts.layers.flatMap((layer) => layer.linears));
    io.document({ out: request.out, ...toldMethod(request), totals, ...facts, ...timing });
    io.print(summary(request, facts, totals, timing));
    return undefined;
  },
});

/** What the flags ask for. @throws UsageError for flags that do not go together */
function requestOf(options: Flags, given: ReadonlyMap<string, GivenOption>): AnyOptions {
  const rival = chooseRival(options, given);
  const drawn = [...(rival && drawsMask(rival.rival) ? drawing.filter((name) => name !== "seed") : drawing)];
  const ofSafeData = ["systemPrompts", ...Object.keys(statisticsOptions)];
  refuseIdle(given, "state", options.taskData === undefined ? [...drawn, ...ofSafeData] : ofSafeData);
  const surroundings = {
    aligned: required(options.aligned, "--aligned"),
    tuned: required(options.tuned, "--tuned"),
    source: sourceOf(options),
    out: required(options.out, "--out"),
    rest: options.rest,
    maxShardBytes: options.maxShardSize ?? 5e9,
    offline: options.offline,
    overwrite: options.overwrite,
    maxMemoryBytes: options.maxMemory,
  };
  if (rival) return { ...surroundings, ...rival };
  const { mode, taskData, taskThrough } = options;
  const through = ownOption(given, "taskThrough");
  if (taskData === undefined && through !== undefined)
    throw new UsageError(`${through.where}: without effect without --task-data.`);
  const task = taskData === undefined ? undefined : describeData(taskData, { ...options, systemPrompts: "none" });
  return { ...surroundings, mode, budget: chooseBudget(options, mode), taskData: task, ...throughOf(taskThrough) };
}

/** One of the pair by its role, or a third model by its spelling. */
function throughOf(through: string | undefined): Pick<ApplyOptions, "taskThrough" | "third"> {
  if (through === undefined || through === "aligned" || through === "tuned") return { taskThrough: through };
  return { third: through };
}

/** Planning and making of a whole model, or of an adapter. @throws UsageError for a rival whose output would be an adapter */
function workOf(request: AnyOptions, outFormat: "model" | "lora") {
  const describe = describeRepair(request, outFormat);
  if (outFormat === "model")
    return {
      plan: (engine: Engine, progress: Progress) => planApply(engine, request, progress),
      make: (engine: Engine, progress: Progress) => apply(engine, request, describe, progress),
    };
  if ("rival" in request)
    throw new UsageError(`--out-format lora works with --method safe-delta, not with ${request.rival.method}.`);
  return {
    plan: (engine: Engine, progress: Progress) => planApplyAdapter(engine, request, progress),
    make: (engine: Engine, progress: Progress) => applyAdapter(engine, request, describe, progress),
  };
}

function toldMethod(request: AnyOptions) {
  if ("rival" in request) return { rival: request.rival };
  return { mode: request.mode, budget: request.budget };
}

function printPlan(io: Io, request: AnyOptions, engine: EngineInfo, plan: ApplyPlan): undefined {
  const assumed = assumedDevice(engine);
  const estimate = timed(plan.estimate, assumed);
  const prepare = plan.prepare && { ...plan.prepare, estimate: timed(plan.prepare.estimate, assumed) };
  const { tuned, out } = request;
  io.document({
    dryRun: true,
    out,
    ...toldMethod(request),
    engine: engine.name,
    estimate,
    prepare,
    assumed: assumption(assumed),
  });
  io.print(`would repair ${tuned} with ${methodText(request)}, on the engine ${engine.name}`);
  if (prepare)
    io.print(`would prepare a state first: ${planLine(prepare.estimate, prepare.estimate.stateBytes, assumed)}`);
  io.print(`would write ${out}: ${planLine(estimate, estimate.outputBytes, assumed)}`);
  io.print("nothing was written");
}

function sourceOf(
  options: { state?: string; safeData?: string } & Parameters<typeof describeSafe>[1],
): ApplyOptions["source"] {
  if (options.state !== undefined) {
    if (options.safeData !== undefined) throw new UsageError("Give --state or --safe-data, not both.");
    return { state: options.state };
  }
  return describeSafe(required(options.safeData, "--state (or --safe-data to prepare on the way)"), options);
}

function summary(
  request: AnyOptions,
  facts: ApplyFacts,
  totals: ReturnType<typeof totalsOf>,
  timing: { ms: number; peakMemoryBytes: number },
): string {
  return [
    `repaired ${request.tuned} with ${methodText(request)}`,
    `  safety loss   ${formatPercent(totals.safetyLossShare)} of the fine-tuning's`,
    `  change kept   ‖D‖ = ${formatNumber(totals.deltaNorm)} of ‖Δ‖ = ${formatNumber(totals.tunedDeltaNorm)}` +
      ("mode" in request && totals.deltaNorm > totals.tunedDeltaNorm ? " (compensation included)" : "") +
      ("mode" in request && request.mode === "optimal"
        ? ""
        : `, ${formatPercent(totals.keptShare)} of the entries bit for bit`),
    `  rest          ${request.rest} model's embeddings, norms and lm_head`,
    `  safe ${dataLine(facts.safeData)}`,
    ...(facts.taskData ? [`  task ${dataLine(facts.taskData)}`] : []),
    `  took          ${formatMs(timing.ms)}, peak memory ${formatBytes(timing.peakMemoryBytes)}`,
    `written: ${request.out} (model card README.md, page report.html, numbers safedelta.json)`,
  ].join("\n");
}
