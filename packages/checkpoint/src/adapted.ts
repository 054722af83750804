import type { Adapter, LoraPair } from "./adapter.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { overlayCompanions } from "./companions.ts";
import { decodeF32 } from "./decode.ts";
import { encode } from "./encode.ts";
import { CheckpointError } from "./errors.ts";
import { addLowRank, applyMagnitude, sliceFactors, transposeFactors } from "./merge.ts";
import { requireTensor, rowRange, type Tensor, type TensorInfo } from "./tensor.ts";

/** Weight names that the adapter changes but the base does not have. */
function unmatched(base: Checkpoint, adapter: Adapter): string[] {
  return [...adapter.pairs.keys(), ...adapter.otherTensors.keys()].filter((name) => !base.tensors.has(name));
}

/** Gemma's config may leave the key out: then a missing head is a tied one. */
function isTied({ config, tensors }: Checkpoint): boolean {
  if (typeof config.tie_word_embeddings === "boolean") return config.tie_word_embeddings;
  return tensors.has("model.embed_tokens.weight") && !tensors.has("lm_head.weight");
}

/**
 * The weight of a tied base that the adapter trained as one of two: by low-rank factors, as a module of its own
 * (modules_to_save), or a head. An embedding that was only saved along is loaded in place by PEFT, and stays tied.
 */
function untiedWeight(base: Checkpoint, { pairs, otherTensors, config }: Adapter): string | undefined {
  if (!isTied(base)) return undefined;
  const isEnd = (name: string) => /(^|\.)(embed_tokens|lm_head)\.weight$/.test(name);
  const own = Array.isArray(config.modules_to_save) ? config.modules_to_save : [];
  const saved = [...otherTensors.keys()].filter(
    (name) => name === "lm_head.weight" || own.includes(name.split(".").at(-2)),
  );
  return [...pairs.keys(), ...saved].find(isEnd);
}

/** @throws CheckpointError "unsupported": not even PEFT can save such a merge, since config and files hold one matrix */
function checkTied(base: Checkpoint, adapter: Adapter): void {
  const weight = untiedWeight(base, adapter);
  if (weight === undefined) return;
  throw new CheckpointError(
    "unsupported",
    `${adapter.folder}: changes ${weight}, but the base ${base.spec} ties its output to its embeddings: trained, the two differ, ` +
      "merged they would be one matrix and another model; train the adapter without it, or on an untied copy of the base",
    { file: adapter.folder, tensor: weight },
  );
}

function checkTargets(base: Checkpoint, adapter: Adapter): void {
  const names = unmatched(base, adapter);
  if (names.length === 0) return;
  const place = { file: adapter.folder, tensor: names[0] };
  const shown = names.slice(0, 5).join(", ") + (names.length > 5 ? `, … (${names.length} in all)` : "");
  throw new CheckpointError(
    "incompatible",
    `${adapter.folder}: the adapter is for another base than ${base.spec}: it changes weights that this base does not have: ${shown}`,
    place,
  );
}

function checkShape(base: Checkpoint, adapter: Adapter, weight: string, wanted: readonly number[]): void {
  const { shape } = requireTensor(base.tensors, weight, base.spec);
  if (shape.join() === wanted.join()) return;
  throw new CheckpointError(
    "incompatible",
    `${adapter.folder}: the adapter is for another base than ${base.spec}: ${weight} is [${shape}] there, the adapter changes [${wanted}]`,
    { file: adapter.folder, tensor: weight },
  );
}

function checkFits(base: Checkpoint, adapter: Adapter): void {
  checkTied(base, adapter);
  checkTargets(base, adapter);
  for (const [weight, { a, b, transposed }] of adapter.pairs) {
    const shape = [b.shape[0], a.shape[1]];
    checkShape(base, adapter, weight, transposed ? shape.reverse() : shape);
  }
  for (const [weight, { shape }] of adapter.otherTensors) checkShape(base, adapter, weight, shape);
}

async function magnitudeOf(adapter: Adapter, pair: LoraPair): Promise<Float32Array | undefined> {
  return pair.magnitude && decodeF32(await adapter.read(pair.magnitude.name));
}

/** Merged rows [start, …) of a weight whose stored rows are `rows`; computed in f32 or better, rounded once to the base's dtype. */
async function mergeRows(rows: Tensor, start: number, adapter: Adapter, pair: LoraPair): Promise<Tensor> {
  const w = decodeF32(rows);
  const [nRows, cols] = rows.shape;
  const stored = await adapter.readPair(pair.weight);
  const magnitude = await magnitudeOf(adapter, pair);
  addLowRank(w, sliceFactors(pair.transposed ? transposeFactors(stored) : stored, start, nRows));
  if (magnitude)
    applyMagnitude(
      w,
      nRows,
      cols,
      pair.transposed ? magnitude : magnitude.subarray(start, start + nRows),
      pair.transposed,
    );
  // w is nobody else's: no need to copy it.
  return { ...rows, bytes: rows.dtype === "F32" ? new Uint8Array(w.buffer) : encode(w, rows.dtype) };
}

function sliceRows(tensor: Tensor, start: number, count: number): Tensor {
  const { info, startByte, endByte } = rowRange(tensor, start, count);
  return { ...info, bytes: tensor.bytes.subarray(startByte, endByte) };
}

/** A tensor of the adapter that takes the place of a base tensor, in the base's dtype. */
async function readReplacement(adapter: Adapter, target: TensorInfo, stored: TensorInfo): Promise<Tensor> {
  const tensor = await adapter.read(stored.name);
  const bytes = stored.dtype === target.dtype ? tensor.bytes : encode(decodeF32(tensor), target.dtype);
  return { ...target, bytes };
}

/** The tensor before its low-rank change: the adapter's replacement when it brings one, else the base's. */
async function readUnder(base: Checkpoint, adapter: Adapter, name: string): Promise<Tensor> {
  const other = adapter.otherTensors.get(name);
  return other ? readReplacement(adapter, requireTensor(base.tensors, name, base.spec), other) : base.read(name);
}

async function readMerged(base: Checkpoint, adapter: Adapter, name: string): Promise<Tensor> {
  const under = await readUnder(base, adapter, name);
  const pair = adapter.pairs.get(name);
  return pair ? mergeRows(under, 0, adapter, pair) : under;
}

/** Rows of a merged tensor; column norms of a transposed DoRA weight need all of it. */
async function readMergedRows(
  base: Checkpoint,
  adapter: Adapter,
  name: string,
  start: number,
  count: number,
): Promise<Tensor> {
  const pair = adapter.pairs.get(name);
  const needsAll = adapter.otherTensors.has(name) || (pair?.transposed && pair.magnitude);
  if (needsAll) return sliceRows(await readMerged(base, adapter, name), start, count);
  const rows = await base.readRows(name, start, count);
  return pair ? mergeRows(rows, start, adapter, pair) : rows;
}

/**
 * A base with a LoRA adapter merged into it, weight by weight as they are read: W + scale·B·A (PEFT `merge_and_unload`) in
 * the dtype of the base. Every key of the adapter must find its weight, and every shape must fit.
 * @param ownsBase closing the result closes the base too
 * @throws CheckpointError "incompatible" naming the weights of another base, "unsupported" for an adapter that unties a tied base
 */
export function adaptCheckpoint(base: Checkpoint, adapter: Adapter, spec: string, ownsBase: boolean): Checkpoint {
  checkFits(base, adapter);
  return {
    spec,
    kind: "adapted",
    config: base.config,
    tensors: base.tensors,
    companions: overlayCompanions(base.companions, adapter.companions),
    adapter,
    base,
    read: (name) => readMerged(base, adapter, name),
    readRows: (name, start, count) => readMergedRows(base, adapter, name, start, count),
    async close() {
      await adapter.close();
      if (ownsBase) await base.close();
    },
  };
}
