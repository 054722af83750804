import type { EngineInfo } from "@safedelta/engine";
import {
  type ApplyFacts,
  type ApplyOptions,
  type ApplyPlan,
  apply,
  applyAdapter,
  assumedDevice,
  peakResidentBytes,
  planApply,
  planApplyAdapter,
} from "@safedelta/pipeline";
import { formatBytes, formatMs, formatNumber, formatPercent, totalsOf } from "@safedelta/report";
import { budgetFlag, chooseBudget } from "../budget.ts";
import { defineCommand, refuseIdle, required } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { openTold } from "../openTold.ts";
import { budgetOptions, computeOptions, modeOption, option, outputOptions, safeDataOptions } from "../options.ts";
import { describeRepair } from "../repairFiles.ts";
import { assumption, dataLine, describeData, planLine, timed } from "../words.ts";

/** How examples are drawn and cut: of no use where none are read. */
const drawing = ["samples", "seed", "maxTokens"];

/** `safedelta apply --aligned A --tuned T --state STATE --out OUT` */
export const applyCommand = defineCommand({
  worker: "apply",
  brief: "Repair a fine-tuned model",
  help:
    "Reads both models and a prepared state (or prepares on the way from --safe-data) and writes the repaired model with a model card " +
    "and safedelta.json. TUNED may be a LoRA adapter folder, which then applies to ALIGNED.",
  args: [],
  options: {
    aligned: option.path({ brief: "the model before fine-tuning", placeholder: "model" }),
    tuned: option.path({ brief: "the fine-tuned model, or its LoRA adapter", placeholder: "model" }),
    state: option.path({ brief: "folder that prepare wrote", placeholder: "folder", group: "statistics" }),
    mode: modeOption,
    ...budgetOptions,
    ...computeOptions,
    ...outputOptions,
    ...safeDataOptions,
    taskData: option.path({
      brief: "examples of the fine-tuning task: optimal then stays close to the task's outputs",
      placeholder: "file",
    }),
    rest: option.choice(["aligned", "tuned"], "aligned", "whose embeddings, norms and lm_head the output has"),
    outFormat: option.choice(["model", "lora"], "model", "write the whole model, or the repaired LoRA adapter"),
    maxShardSize: option.size({ brief: "largest weight file [5GB]" }),
  },
  async run(options, _args, io, given) {
    refuseIdle(given, "state", options.taskData === undefined ? [...drawing, "systemPrompts"] : ["systemPrompts"]);
    const request: ApplyOptions = {
      aligned: required(options.aligned, "--aligned"),
      tuned: required(options.tuned, "--tuned"),
      source: sourceOf(options),
      out: required(options.out, "--out"),
      mode: options.mode,
      budget: chooseBudget(options, options.mode),
      taskData:
        options.taskData === undefined
          ? undefined
          : describeData(options.taskData, { ...options, systemPrompts: "none" }),
      rest: options.rest,
      maxShardBytes: options.maxShardSize ?? 5e9,
      offline: options.offline,
      overwrite: options.overwrite,
      maxMemoryBytes: options.maxMemory,
    };
    const isAdapter = options.outFormat === "lora";
    if (isAdapter) refuseIdle(given, "outFormat", ["maxShardSize"]);
    const started = performance.now();
    using engine = await openTold(options, io);
    if (options.dryRun) {
      const plan = await (isAdapter ? planApplyAdapter : planApply)(engine, request, io.progress);
      return printPlan(io, request, engine.info, plan);
    }
    const facts = await (isAdapter ? applyAdapter : apply)(
      engine,
      request,
      describeRepair(request, options.outFormat),
      io.progress,
    );
    const timing = { ms: performance.now() - started, peakMemoryBytes: peakResidentBytes() };
    const totals = totalsOf(facts.layers.flatMap((layer) => layer.linears));
    io.document({ out: request.out, mode: request.mode, budget: request.budget, totals, ...facts, ...timing });
    io.print(summary(request, facts, totals, timing));
    return undefined;
  },
});

function printPlan(io: Io, request: ApplyOptions, engine: EngineInfo, plan: ApplyPlan): undefined {
  const assumed = assumedDevice(engine);
  const estimate = timed(plan.estimate, assumed);
  const prepare = plan.prepare && { ...plan.prepare, estimate: timed(plan.prepare.estimate, assumed) };
  const { tuned, out, mode, budget } = request;
  io.document({
    dryRun: true,
    out,
    mode,
    budget,
    engine: engine.name,
    estimate,
    prepare,
    assumed: assumption(assumed),
  });
  io.print(`would repair ${tuned} with mode ${mode}, ${budgetFlag(budget)}, on the engine ${engine.name}`);
  if (prepare)
    io.print(`would prepare a state first: ${planLine(prepare.estimate, prepare.estimate.stateBytes, assumed)}`);
  io.print(`would write ${out}: ${planLine(estimate, estimate.outputBytes, assumed)}`);
  io.print("nothing was written");
}

function sourceOf(
  options: { state?: string; safeData?: string } & Parameters<typeof describeData>[1],
): ApplyOptions["source"] {
  if (options.state !== undefined) {
    if (options.safeData !== undefined) throw new UsageError("Give --state or --safe-data, not both.");
    return { state: options.state };
  }
  return {
    safeData: describeData(required(options.safeData, "--state (or --safe-data to prepare on the way)"), options),
  };
}

function summary(
  request: ApplyOptions,
  facts: ApplyFacts,
  totals: ReturnType<typeof totalsOf>,
  timing: { ms: number; peakMemoryBytes: number },
): string {
  return [
    `repaired ${request.tuned} with mode ${request.mode}, ${budgetFlag(request.budget)}`,
    `  safety loss   ${formatPercent(totals.safetyLossShare)} of the fine-tuning's`,
    `  change kept   ‖D‖ = ${formatNumber(totals.deltaNorm)} of ‖Δ‖ = ${formatNumber(totals.tunedDeltaNorm)}` +
      (totals.deltaNorm > totals.tunedDeltaNorm ? " (compensation included)" : "") +
      (request.mode === "optimal" ? "" : `, ${formatPercent(totals.keptShare)} of the entries bit for bit`),
    `  rest          ${request.rest} model's embeddings, norms and lm_head`,
    `  safe ${dataLine(facts.safeData)}`,
    ...(facts.taskData ? [`  task ${dataLine(facts.taskData)}`] : []),
    `  took          ${formatMs(timing.ms)}, peak memory ${formatBytes(timing.peakMemoryBytes)}`,
    `written: ${request.out} (model card README.md, numbers safedelta.json)`,
  ].join("\n");
}
