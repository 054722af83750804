import { dirname, join, resolve } from "node:path";
import { workName } from "@safedelta/checkpoint";
import type { Engine } from "@safedelta/engine";
import { groupsOfLayer, openModel } from "@safedelta/model";
import { type Lora, openLora, openTrainer, planPasses, rateAt, type Trainer, trainedOf } from "@safedelta/training";
import { requireNoModel } from "../adapterFiles.ts";
import { hashFiles } from "../applyFacts.ts";
import { PipelineError } from "../errors.ts";
import { requireDisk, requirePlace, sha256, stableJson } from "../files.ts";
import { lockFolder } from "../lock.ts";
import { companionFiles } from "../modelOutput.ts";
import { hashModel, type OpenedModel, openModelFiles } from "../models.ts";
import { warnOf } from "../oddities.ts";
import { requireWritable } from "../pair.ts";
import type { Progress } from "../progress.ts";
import { stampOf, toolVersion } from "../version.ts";
import { besideOf, removeLeftover, requireFreeOutput, requireOwnBeside, tunedOutput } from "../workFolder.ts";
import type { FinetuneFacts, FinetuneOptions, LogEntry } from "./options.ts";
import { type Written, type WrittenOutput, writeLora, writeModel } from "./output.ts";
import { type FinetunePlan, planFinetuning } from "./plan.ts";
import {
  assumedKeepMs,
  claimUpdates,
  keepEveryMs,
  ofTraining,
  resumeUpdates,
  saveUpdate,
  type TrainingJob,
} from "./savedUpdates.ts";
import { Speed } from "./speed.ts";
import { readTrainingData, type TrainingData } from "./trainingData.ts";

/** Makes the further files of the output folder (model card, training.json, plot) out of the facts. */
export type DescribeTraining = (facts: FinetuneFacts) => ReadonlyMap<string, Uint8Array>;

/** Everything known before the work; nothing is written. */
async function gather(options: FinetuneOptions, progress: Progress) {
  await using opened = new AsyncDisposableStack();
  const model = opened.use(await openModelFiles(options.model, options.offline, progress));
  if (!options.lora && options.dtype === undefined) requireWritable(model);
  if (options.lora) requirePlainBase(model, options.model);
  const data = await readTrainingData(options, model, progress);
  const plan = planFinetuning(options, model, data);
  warnOf(progress, needlessRank(plan, model));
  for (const place of [dirname(resolve(options.out)), options.out]) await requirePlace(place);
  const bytes = plan.estimate.outputBytes + plan.estimate.workBytes;
  await requireDisk(options.out, bytes, "finetune", [join(options.out, workName), besideOf(options.out)]);
  const held = opened.move();
  return { model, data, plan, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/**
 * An adapter names the model that it lies on, which PEFT must be able to open.
 * @throws PipelineError `usage` for a model that is itself made of an adapter, and for a GGUF file
 */
function requirePlainBase({ checkpoint }: OpenedModel, spec: string): void {
  const refuse = (what: string, next: string) =>
    new PipelineError("usage", `--lora-rank: ${spec} ${what}, on which PEFT cannot lay an adapter. ${next}`);
  if (checkpoint.adapter) throw refuse("is made of an adapter", `Leave --lora-rank away, or ${merging}`);
  if (spec.endsWith(".gguf")) throw refuse("is a GGUF file", "Leave --lora-rank away, or train on a model folder.");
}

/** All the way from the aligned weights to the tuned ones is the merged model; its safe example counts for nothing. */
const merging =
  "train on MERGED, which this writes (FILE: any request with its answer, which changes nothing): safedelta apply --aligned BASE --tuned ADAPTER " +
  "--method wise-ft --alpha 1 --rest tuned --safe-data FILE --samples 1 --system-prompts none --out MERGED";

/** A remark on adapters that have more numbers than the linears they lie on. */
function needlessRank({ lora }: FinetunePlan, { config }: OpenedModel): string | undefined {
  if (!lora) return undefined;
  const isAdapted = ({ name }: { name: string }) => lora.targets.some((target) => name.endsWith(`.${target}.weight`));
  const linears = groupsOfLayer(config, 0).flatMap((group) => group.linears.filter(isAdapted));
  const small = linears.filter(({ rows, cols }) => lora.rank >= (rows * cols) / (rows + cols));
  if (small.length === 0) return undefined;
  return `--lora-rank ${lora.rank} is so large that on ${small.length} of ${linears.length} adapted linears of a layer it has more numbers than the linear.`;
}

type Gathered = Awaited<ReturnType<typeof gather>>;

/** What a fine-tuning reads and will take. */
export interface PlannedFinetuning {
  readonly data: TrainingData["facts"];
  readonly plan: FinetunePlan;
}

function plannedOf({ data, plan }: Gathered): PlannedFinetuning {
  return { data: data.facts, plan };
}

/** Plan only: check everything that can be checked without computing. @throws as `finetune` before its work */
export async function planFinetune(options: FinetuneOptions, progress: Progress): Promise<PlannedFinetuning> {
  await requireFree(options);
  await using gathered = await gather(options, progress);
  return plannedOf(gathered);
}

/**
 * Fine-tune a model, or train an adapter on it, and write it beside its description. An interrupted run goes on with the last
 * updates that were kept and ends with the same bytes.
 * @param tell hears what is planned, before the work
 * @throws PipelineError, CheckpointError, ModelError; nothing that looks finished remains after an error
 */
export async function finetune(
  engine: Engine,
  options: FinetuneOptions,
  describe: DescribeTraining,
  progress: Progress,
  tell: (planned: PlannedFinetuning) => void = () => {},
): Promise<FinetuneFacts> {
  if (!options.overwrite) await removeLeftover(options.out, tunedOutput);
  await requireFree(options);
  await using gathered = await gather(options, progress);
  tell(plannedOf(gathered));
  await using _lock = await lockFolder(options.out);
  progress.stage("hashing the model", 1);
  const { sha256: hash } = await hashModel(gathered.model);
  const job = jobOf(engine, options, gathered, hash);
  await claimUpdates(options.out, job, { overwrite: options.overwrite, nUpdates: gathered.plan.updates.length });
  using opened = await openTraining(engine, options, gathered);
  const { nWarmup, nUpdates } = gathered.plan.schedule;
  if (nWarmup > 0 && nWarmup >= nUpdates)
    progress.warn(`--warmup ${nWarmup} is as long as all ${nUpdates} updates, so the rate stays below --lr.`);
  const log = await runUpdates(opened.trainer, engine, options, gathered.plan, progress);
  return await writeOutput(engine, options, gathered, opened, { hash, job, log }, describe);
}

async function requireFree({ out, model, overwrite, lora }: FinetuneOptions): Promise<void> {
  await requireFreeOutput({ out, inputs: [model], overwrite, kind: tunedOutput });
  await requireOwnBeside(out, (name) => ofTraining.test(name));
  if (lora) await requireNoModel(out);
}

/** Everything that decides the bytes of the result. */
function jobOf(engine: Engine, options: FinetuneOptions, { data }: Gathered, model: string): TrainingJob {
  const {
    model: _m,
    data: _d,
    safetyMix: _x,
    out: _o,
    saveMinutes: _s,
    offline: _f,
    overwrite: _w,
    maxMemoryBytes: _y,
    maxShardBytes: _h,
    ...recipe
  } = options;
  return { toolVersion, engine: stampOf(engine.info), model, data: data.facts.tokensSha256, recipe };
}

/** The model in engine memory with its trainer; disposing it frees both. */
async function openTraining(engine: Engine, options: FinetuneOptions, { model: files, plan }: Gathered) {
  using owned = new DisposableStack();
  const model = owned.use(await openModel(engine, files.checkpoint, options.weights));
  const lora = plan.lora && owned.use(openLora(engine, model.config, plan.lora, options.seed));
  const { clip, adamW, part } = options;
  const settings = { adamW, clip, capacity: plan.capacity, recompute: plan.recompute };
  const trainer = owned.use(openTrainer(model, lora?.trained ?? trainedOf(model, part), settings, lora));
  const held = owned.move();
  return { model, lora, trainer, [Symbol.dispose]: () => held.dispose() };
}

async function runUpdates(
  trainer: Trainer,
  engine: Engine,
  options: FinetuneOptions,
  { updates, schedule }: FinetunePlan,
  progress: Progress,
): Promise<readonly LogEntry[]> {
  const folder = besideOf(options.out);
  const log = [...(await resumeUpdates(engine, folder, trainer.parameters, progress))];
  progress.stage(log.length > 0 ? `training, on after update ${log.length}` : "training", updates.length);
  for (const { update } of log) progress.step(`update ${update} was kept`);
  const speed = new Speed(updates.slice(log.length).map(({ examples }) => examples));
  let [keptAt, keepMs] = [performance.now(), assumedKeepMs(trainer.parameters)];
  for (const { epoch, examples } of updates.slice(log.length)) {
    const update = log.length + 1;
    const rate = rateAt(schedule, update - 1);
    const done = trainer.update(planPasses(examples, options.passTokens), rate, update);
    log.push({ update, epoch, rate, ...done });
    progress.step(`loss ${done.loss.toFixed(4)}, ${speed.after(done.nTokens)}`);
    const begun = performance.now();
    const isDue = begun - keptAt >= keepEveryMs(keepMs, options.saveMinutes);
    if (!isDue || update === updates.length) continue;
    await saveUpdate(engine, folder, trainer.parameters, log);
    keptAt = performance.now();
    keepMs = keptAt - begun;
  }
  return log;
}

async function writeOutput(
  engine: Engine,
  options: FinetuneOptions,
  { model: opened, data, plan }: Gathered,
  { model, lora, trainer }: { model: Awaited<ReturnType<typeof openModel>>; lora?: Lora; trainer: Trainer },
  { hash, job, log }: { hash: string; job: object; log: readonly LogEntry[] },
  describe: DescribeTraining,
): Promise<FinetuneFacts> {
  const told = (written: WrittenOutput): FinetuneFacts => ({
    toolVersion,
    engine: stampOf(engine.info),
    model: { spec: options.model, name: opened.name, hash },
    licence: opened.licence,
    lora: plan.lora,
    data: data.facts,
    nTrained: plan.nTrained,
    nUpdates: log.length,
    log,
    ...written,
  });
  if (lora && plan.lora)
    return told(await writeLora(engine, lora, plan.lora, options, (written) => describe(told(written))));
  const companions = await companionFiles(opened);
  const config = companions.get(configName);
  if (config && options.dtype) companions.set(configName, withDtype(config, options.dtype));
  const toldOf = (tensors: Written) => told({ tensors, files: hashFiles(companions) });
  const files = (tensors: Written) => new Map([...companions, ...describe(toldOf(tensors))]);
  const trained = { engine, opened, model, parameters: trainer.parameters };
  return toldOf(await writeModel(trained, options, sha256(stableJson(job)), files));
}

const configName = "config.json";
const torchNames = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;

/** A config that names a storage type, so that loaders do not round to the former one. */
function withDtype(config: Uint8Array, dtype: keyof typeof torchNames): Uint8Array {
  const values = JSON.parse(new TextDecoder().decode(config));
  const key = "dtype" in values ? "dtype" : "torch_dtype";
  return new TextEncoder().encode(`${JSON.stringify({ ...values, [key]: torchNames[dtype] }, null, 2)}\n`);
}
