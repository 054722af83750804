import { join } from "node:path";
import { type CheckpointWriter, createWriter } from "@safedelta/checkpoint";
import { checkBudget } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { collectFacts } from "./applyFacts.ts";
import type { ApplyFacts, ApplyOptions } from "./applyOptions.ts";
import { copyRest, repairLayers, repairWithTask } from "./applyRun.ts";
import { PipelineError } from "./errors.ts";
import { type ApplyEstimate, estimateApply } from "./estimate.ts";
import { removeQuietly, requireDisk, sha256, stableJson } from "./files.ts";
import { requireMemory } from "./memory.ts";
import { openModelTokenizer } from "./models.ts";
import { checkState, openPair, type Pair } from "./pair.ts";
import { type PreparePlan, planPrepare, prepare } from "./prepare.ts";
import type { Progress } from "./progress.ts";
import { resolveBudgets } from "./repairLinear.ts";
import { readSequences, type Sequences } from "./sequences.ts";
import { openState, type State } from "./state.ts";
import { toolVersion } from "./version.ts";
import { requireFreeOutput } from "./workFolder.ts";

/** Makes the further files of the output folder (model card, safedelta.json) out of the facts. */
export type Describe = (facts: ApplyFacts) => ReadonlyMap<string, Uint8Array>;

/** What would be done. */
export interface ApplyPlan {
  readonly estimate: ApplyEstimate;
  /** When the state would be made on the way. */
  readonly prepare?: PreparePlan;
}

/** Plan only: every check that needs no computing. @throws as `apply` before its work */
export async function planApply(options: ApplyOptions, progress: Progress): Promise<ApplyPlan> {
  checkOptions(options);
  await requireFreeOutput(options);
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  const estimate = estimateOf(pair, options);
  if (!("state" in options.source))
    return { estimate, prepare: await planPrepare(prepareOptions(options, options.source)) };
  checkState(await openState(options.source.state), pair.aligned);
  return { estimate };
}

/**
 * Repair a fine-tuned model and write it beside its description. One linear of both models is in memory at a time. An
 * interrupted run goes on where it stopped and ends with the same bytes.
 * @throws PipelineError, CheckpointError, CoreError; nothing that looks finished remains after an error
 */
export async function apply(
  engine: Engine,
  options: ApplyOptions,
  describe: Describe,
  progress: Progress,
): Promise<ApplyFacts> {
  checkOptions(options);
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  await requireFreeOutput(options);
  const estimate = estimateOf(pair, options);
  await requireDisk(options.out, estimate.outputBytes, "apply");
  const state = await stateOf(engine, options, progress);
  checkState(state, pair.aligned);
  const task = options.taskData && (await readSequences(options.taskData, await openModelTokenizer(pair.aligned)));
  await using opened = new AsyncDisposableStack();
  const writer = await openWriter(engine, options, pair, state, task);
  opened.defer(() => writer.abort());
  const budgets = await resolveBudgets(engine, pair, state, options, progress);
  const run = { engine, options, pair, state, writer, budgets, progress };
  if (task) await repairWithTask(run, task, join(workFolder(options), "task"));
  else await repairLayers(run);
  await copyRest(run);
  const facts = collectFacts(run, task?.facts);
  await writer.finish(new Map([...(await companionFiles(pair)), ...describe(facts)]));
  await removeQuietly(workFolder(options));
  return facts;
}

/** Beside the output, so that the output folder holds nothing unfinished. */
export function workFolder({ out }: ApplyOptions): string {
  return `${out.replace(/\/+$/, "")}.work`;
}

export function checkOptions({ mode, budget, taskData }: ApplyOptions): void {
  checkBudget(mode, budget);
  if (!taskData) return;
  if (mode !== "optimal") throw new PipelineError("usage", `--task-data works with --mode optimal, not with ${mode}.`);
  if (budget.kind !== "globalLoss") return;
  throw new PipelineError(
    "usage",
    "--task-data works with --loss or --strength: a pooled budget would need the task statistics of every layer at once.",
  );
}

function estimateOf({ aligned }: Pair, { maxMemoryBytes }: ApplyOptions): ApplyEstimate {
  const estimate = estimateApply(aligned.config, aligned.checkpoint.tensors);
  requireMemory(maxMemoryBytes, estimate.memoryBytes, "apply");
  return estimate;
}

function prepareOptions(options: ApplyOptions, source: { safeData: Parameters<typeof readSequences>[0] }) {
  const { aligned, mode, offline, maxMemoryBytes } = options;
  const out = join(workFolder(options), "state");
  return { model: aligned, data: source.safeData, out, modes: [mode], offline, overwrite: true, maxMemoryBytes };
}

export async function stateOf(engine: Engine, options: ApplyOptions, progress: Progress): Promise<State> {
  const { source } = options;
  return "state" in source ? openState(source.state) : prepare(engine, prepareOptions(options, source), progress);
}

async function openWriter(
  engine: Engine,
  { aligned, tuned, out, mode, budget, rest, maxShardBytes, overwrite }: ApplyOptions,
  pair: Pair,
  state: State,
  task?: Sequences,
): Promise<CheckpointWriter> {
  const job = {
    toolVersion,
    engine: engine.info,
    aligned,
    tuned,
    state: state.sha256,
    mode,
    budget,
    rest,
    task: task?.facts.sha256,
  };
  return createWriter(out, {
    tensors: [...pair.aligned.checkpoint.tensors.values()],
    maxShardBytes,
    fingerprint: sha256(stableJson(job)),
    overwrite,
  });
}

/** The aligned model's config, tokenizer, template and generation settings, verbatim. */
async function companionFiles({ aligned }: Pair): Promise<[string, Uint8Array][]> {
  const companions = [...aligned.checkpoint.companions];
  return Promise.all(companions.map(async ([name, file]): Promise<[string, Uint8Array]> => [name, await file.bytes()]));
}
