import { nElements, tensorBytes } from "@safedelta/checkpoint";
import { epochOrders } from "@safedelta/data";
import type { ModelConfig } from "@safedelta/model";
import {
  countTargets,
  type LoraOptions,
  loraTargets,
  type Pass,
  planPasses,
  type Schedule,
  type TrainingBytes,
  type TrainingExample,
  trainedNumbers,
  trainingBytes,
} from "@safedelta/training";
import { PipelineError } from "../errors.ts";
import { runtimeBytes } from "../memory.ts";
import type { OpenedModel } from "../models.ts";
import { neededText } from "../sizes.ts";
import { checkRecipe } from "./checkRecipe.ts";
import type { FinetuneOptions, FinetuneRecipe } from "./options.ts";
import type { TrainingData } from "./trainingData.ts";

/** One update to come. */
export interface PlannedUpdate {
  readonly epoch: number;
  readonly examples: readonly TrainingExample[];
}

/** What a fine-tuning will take; memory and time are estimates. */
export interface FinetuneEstimate {
  readonly flop: number;
  readonly memoryBytes: number;
  readonly engineBytes: TrainingBytes;
  readonly outputBytes: number;
  /** On disk while it works. */
  readonly workBytes: number;
}

export interface FinetunePlan {
  readonly updates: readonly PlannedUpdate[];
  readonly schedule: Schedule;
  /** With its targets. */
  readonly lora?: LoraOptions;
  readonly recompute: boolean;
  /** Most tokens of any pass. */
  readonly capacity: number;
  readonly nTrained: number;
  readonly estimate: FinetuneEstimate;
}

/**
 * Everything known before the work: order, schedule, sizes. Layers are run forward twice instead of being kept when only so the
 * memory asked for suffices.
 * @throws PipelineError `usage` for settings out of range, `resources` when it does not fit even so
 */
export function planFinetuning(options: FinetuneOptions, model: OpenedModel, data: TrainingData): FinetunePlan {
  checkRecipe(options);
  checkFits(options, model.config, data.examples.length);
  const updates = planUpdates(options, data.examples);
  const passes = updates.flatMap(({ examples }) => planPasses(examples, options.passTokens));
  const most = (count: (pass: Pass) => number) => passes.reduce((max, pass) => Math.max(max, count(pass)), 0);
  const { config } = model;
  const { part, weights } = options;
  const lora = options.lora && { ...options.lora, targets: options.lora.targets ?? loraTargets(config) };
  const size = {
    config,
    weights,
    part,
    lora,
    nTokens: most(({ ids }) => ids.length),
    nTargets: most(({ rows }) => rows.length),
  };
  const recompute = mustRecompute(options, memoryOf(model, trainingBytes({ ...size, recompute: false })));
  const engineBytes = trainingBytes({ ...size, recompute });
  const memoryBytes = memoryOf(model, engineBytes);
  requireMemory(options.maxMemoryBytes, memoryBytes);
  const nTrained = trainedNumbers(size);
  const flop = trainingFlop(model, updates, { part, nLora: lora ? nTrained : undefined, recompute });
  const outputBytes = lora ? 4 * nTrained : weightBytes(model);
  const estimate = {
    flop,
    memoryBytes,
    engineBytes,
    outputBytes,
    workBytes: 24 * nTrained,
  };
  const schedule = scheduleOf(options, data);
  return { updates, schedule, lora, recompute, capacity: size.nTokens, nTrained, estimate };
}

function planUpdates(options: FinetuneRecipe, examples: readonly TrainingExample[]): PlannedUpdate[] {
  const orders = epochOrders(examples.length, options.epochs, options.seed);
  const updates = orders.flatMap((order, epoch) =>
    Array.from({ length: updatesPerEpoch(options, examples.length) }, (_, i) => ({
      epoch: epoch + 1,
      examples: order.slice(i * options.batch, (i + 1) * options.batch).map((at) => examples[at]),
    })),
  );
  return updates.slice(0, options.maxUpdates);
}

function updatesPerEpoch({ batch }: FinetuneRecipe, nExamples: number): number {
  return Math.ceil(nExamples / batch);
}

/** The schedule of a recipe over its data; a share of warm-up is rounded up, as transformers does. */
function scheduleOf(options: FinetuneRecipe, { examples }: TrainingData): Schedule {
  const nEpoch = updatesPerEpoch(options, examples.length);
  const nUpdates = options.epochs * nEpoch;
  const nWarmup = options.warmup < 1 ? Math.ceil(options.warmup * nUpdates) : options.warmup;
  const decay = { factor: options.epochDecay, nUpdates: nEpoch };
  return { name: options.schedule, peak: options.rate, nWarmup, nUpdates, decay };
}

function mustRecompute({ maxMemoryBytes }: FinetuneOptions, keptBytes: number): boolean {
  return maxMemoryBytes !== undefined && keptBytes > maxMemoryBytes;
}

/** Beside the engine's memory the process holds one tensor as it is read: its bytes, and as f32. */
function memoryOf({ checkpoint }: OpenedModel, { total }: TrainingBytes): number {
  const largest = Math.max(...[...checkpoint.tensors.values()].map(tensorBytes));
  return runtimeBytes + total + 2 * largest;
}

function requireMemory(limitBytes: number | undefined, neededBytes: number): void {
  if (limitBytes === undefined || neededBytes <= limitBytes) return;
  throw new PipelineError(
    "resources",
    `finetune needs about ${neededText(neededBytes)} of memory with every layer run twice, more than --max-memory. Raise it, give a smaller --pass-tokens or --max-tokens, or train an adapter (--lora-rank).`,
  );
}

function weightBytes({ checkpoint }: OpenedModel): number {
  return [...checkpoint.tensors.values()].reduce((sum, info) => sum + tensorBytes(info), 0);
}

/** What of the work depends on the recipe. */
interface Work {
  readonly part: FinetuneRecipe["part"];
  /** Numbers of an adapter, where one is trained. */
  readonly nLora?: number;
  readonly recompute: boolean;
}

/** Forward 2, again 2 if it runs twice, backward towards the input 2 and towards trained weights 2 operations a number and token; the head where it counts. */
function trainingFlop(
  { config, checkpoint }: OpenedModel,
  updates: readonly PlannedUpdate[],
  { part, nLora, recompute }: Work,
): number {
  const examples = updates.flatMap((update) => update.examples);
  const nTokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
  const head = config.vocabularySize * config.hiddenSize;
  const all = [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + nElements(shape), 0);
  const layers = all - (config.tied ? head : 2 * head);
  const passing = recompute ? 6 : 4;
  const perToken = nLora === undefined ? layers * (passing + 2) : layers * passing + nLora * (passing + 2);
  const perTarget = head * (nLora === undefined && part === "all" ? 6 : 4);
  return nTokens * perToken + countTargets(examples) * perTarget;
}

/** The order of all epochs is held in memory. */
const mostExamples = 1e8;

/** What of a recipe model and data decide. @throws PipelineError `usage` naming the setting */
function checkFits({ lora, epochs }: FinetuneOptions, config: ModelConfig, nExamples: number): void {
  const wrong = [
    epochs * nExamples <= mostExamples
      ? ""
      : `--epochs ${epochs} over ${nExamples} examples is more than can be planned (${mostExamples} in all).`,
    lora ? wrongTarget(lora.targets, config) : "",
  ].find((problem) => problem !== "");
  if (wrong !== undefined) throw new PipelineError("usage", wrong);
}

function wrongTarget(targets: readonly string[] | undefined, config: ModelConfig): string {
  const known = loraTargets(config);
  const strange = targets?.find((target) => !known.includes(target));
  return strange === undefined
    ? ""
    : `--lora-targets: the model has no linear "${strange}"; it has ${known.join(", ")}.`;
}
