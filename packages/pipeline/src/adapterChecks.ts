import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Adapter, type Checkpoint, workName } from "@safedelta/checkpoint";
import { adapterPart, requireNoModel } from "./adapterFiles.ts";
import { requireFreeRepair } from "./apply.ts";
import type { ApplyOptions } from "./applyOptions.ts";
import { PipelineError } from "./errors.ts";
import { hashModel } from "./models.ts";
import { linearsOf, type Pair } from "./pair.ts";
import type { State } from "./state.ts";
import { requireWritableType } from "./upload.ts";

/**
 * @throws PipelineError `usage` as `requireFreeOutput`, when a whole model stands there, which would hide the adapter, and when
 * the unfinished work of one would be lost
 */
export async function requireFreeAdapter(options: ApplyOptions): Promise<void> {
  await requireFreeRepair(options);
  await requireNoModel(options.out);
  const work = await readdir(join(options.out, workName)).catch((): string[] => []);
  if (options.overwrite || work.every((name) => name === adapterPart)) return;
  const next = "Repeat that run to finish it, add --overwrite to discard it, or choose another --out.";
  throw new PipelineError("usage", `${options.out}: holds unfinished work on a whole model. ${next}`);
}

/**
 * The adapter of the tuned model, when it is one that can be repaired as an adapter.
 * @throws PipelineError `usage` when it is none, or holds what A′ = A M cannot keep or leave out
 */
export function repairable({ tuned, aligned }: Pair, { tuned: spec, mode, taskData, rest }: ApplyOptions): Adapter {
  const { adapter } = tuned.checkpoint;
  const refuse = (why: string) => new PipelineError("usage", `--out-format lora: ${why}`);
  if (!adapter) throw refuse(`${spec} is not a LoRA adapter; leave --out-format away to write the whole model.`);
  if (mode !== "optimal") throw refuse(`works with --mode optimal only; ${mode} does not keep a delta of low rank.`);
  if (taskData) throw refuse("does not take --task-data yet; leave --out-format away to write the whole model.");
  const others = [...adapter.otherTensors.keys()];
  if (others.length > 0 && rest === "aligned")
    throw refuse(`the adapter also replaces ${others[0]}; add --rest tuned to keep that.`);
  const linears = new Set([...linearsOf(aligned.config)].map(({ linear }) => linear.name));
  const beside = [...adapter.pairs.keys()].find((name) => !linears.has(name));
  if (beside !== undefined && rest === "aligned") {
    throw refuse(`the adapter also changes ${beside}, which is not repaired; add --rest tuned to keep that change.`);
  }
  const turned = [...adapter.pairs.values()].find(({ transposed }) => transposed);
  if (turned) throw refuse(`${turned.weight} is stored transposed (fan_in_fan_out), which no linear of this model is.`);
  for (const { a } of adapter.pairs.values()) requireWritableType(a, adapter.folder);
  if (adapter.config.use_dora === true) throw refuse("a DoRA adapter is not low-rank; leave --out-format away.");
  return adapter;
}

/**
 * B·A is the whole delta only when the adapter lies on the aligned model itself, whatever that is made of.
 * @throws PipelineError `usage` when it lies on another model
 */
export async function requireOnAligned({ aligned, tuned }: Pair, spec: string): Promise<void> {
  const { base } = tuned.checkpoint;
  if (!base || base === aligned.checkpoint) return;
  const other = await firstDifference(aligned.checkpoint, base);
  if (other === undefined) return;
  throw new PipelineError(
    "usage",
    `--out-format lora: the adapter of ${spec} lies on ${base.spec}, whose ${other} is not the aligned model's, so the adapter is not ` +
      "all of the fine-tuning. Leave --out-format away to write the whole model, or give as --aligned what the adapter lies on.",
  );
}

/** The first tensor that two models do not have in the same bytes; undefined when there is none. */
async function firstDifference(a: Checkpoint, b: Checkpoint): Promise<string | undefined> {
  for (const name of a.tensors.keys()) {
    if (!b.tensors.has(name)) return name;
    const [first, second] = [await a.read(name), await b.read(name)];
    if (first.dtype !== second.dtype || Buffer.compare(first.bytes, second.bytes) !== 0) return name;
  }
  return undefined;
}

/**
 * The hash of the aligned model.
 * @throws PipelineError `incompatible` when one of its weights is not the one the state was made from
 */
export async function checkAligned({ aligned }: Pair, state: State): Promise<string> {
  const { tensors, sha256 } = await hashModel(aligned);
  for (const { layer, linear } of linearsOf(aligned.config)) {
    if (tensors[linear.name] === state.manifest.layers[layer]?.linears[linear.name]) continue;
    throw new PipelineError(
      "incompatible",
      `${state.folder}: was prepared from another model (${linear.name} differs).`,
    );
  }
  return sha256;
}
