import type { Checkpoint } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import { groupsOfLayer, type LayerGroup, type Linear, linearNames, type ModelConfig } from "@safedelta/model";
import { PipelineError, problemsError } from "./errors.ts";
import { sha256, sha256Aside } from "./files.ts";
import { checkPair, type OpenedModel, openModelFiles } from "./models.ts";
import type { Progress } from "./progress.ts";
import type { State } from "./state.ts";
import { requireExactType, requireWritableType, uploadF32 } from "./upload.ts";

/** An aligned model and the one that was fine-tuned from it. */
export interface Models {
  readonly aligned: OpenedModel;
  readonly tuned: OpenedModel;
  /** Of the rivals that have one, or the one that task data go through. */
  readonly third?: OpenedModel;
}

/** Disposing it closes all. */
export interface Pair extends Models, AsyncDisposable {}

/**
 * Open both models and check that they belong together.
 * @param tuned any spelling; a bare adapter folder applies to `aligned`, as it does for `third`
 * @param third all of it must fit if task data are to run through it, else its linears alone
 * @throws PipelineError `incompatible` listing every difference that forbids a repair, or for linears in F64 beside aligned ones
 */
export async function openPair(
  aligned: string,
  tuned: string,
  offline: boolean,
  progress: Progress,
  third?: { readonly spec: string; readonly isRun: boolean },
): Promise<Pair> {
  await using opened = new AsyncDisposableStack();
  const first = opened.use(await openModelFiles(aligned, offline, progress));
  const second = opened.use(await openModelFiles(tuned, offline, progress, first.checkpoint));
  await requirePair(first, second, progress);
  const beside = third && opened.use(await openModelFiles(third.spec, offline, progress, first.checkpoint));
  if (beside && third.isRun) await requireAlike(first, beside);
  else if (beside) requireSameLinears(first, beside, `${third.spec} has other linears than ${aligned}:`);
  const held = opened.move();
  return { aligned: first, tuned: second, third: beside, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/**
 * Check that two opened models belong together.
 * @param progress hears of what may differ and yet is odd
 * @throws PipelineError `incompatible` listing every difference that forbids a repair, or for linears in F64 beside aligned ones
 */
export async function requirePair(aligned: OpenedModel, tuned: OpenedModel, progress: Progress): Promise<void> {
  const { problems, warnings } = await checkPair(aligned, tuned);
  const title = `${tuned.checkpoint.spec} was not fine-tuned from ${aligned.checkpoint.spec}:`;
  const next = "Give the model that it was fine-tuned from as --aligned.";
  if (problems.length > 0) throw problemsError("incompatible", title, problems, next);
  requireExact(tuned);
  for (const warning of warnings) progress.warn(warning);
}

/** @throws PipelineError `incompatible` when a third model is none that the pair's task data can go through */
async function requireAlike(aligned: OpenedModel, third: OpenedModel): Promise<void> {
  const { problems } = await checkPair(aligned, third);
  const [one, other] = [third, aligned].map(({ checkpoint }) => checkpoint.spec);
  const title = `Task data cannot go through ${one} (here "the tuned model"), which is no repair of a model like ${other}:`;
  if (problems.length > 0) throw problemsError("incompatible", title, problems, "Give an earlier repair of this pair.");
  requireExact(third);
}

/** @throws PipelineError `incompatible` listing the linears that are missing or of other sizes, or for those in F64 */
function requireSameLinears(aligned: OpenedModel, third: OpenedModel, title: string): void {
  const problems = [...linearsOf(aligned.config)].flatMap(({ linear: { name, rows, cols } }) => {
    const shape = third.checkpoint.tensors.get(name)?.shape;
    if (String(shape) === `${rows},${cols}`) return [];
    return [`${name} is ${shape ? `[${shape}]` : "missing"} instead of [${rows},${cols}].`];
  });
  if (problems.length > 0) throw problemsError("incompatible", title, problems);
  requireExact(third);
}

/** Every linear of a model with its layer and group, in forward order. */
export function* linearsOf(config: ModelConfig): Generator<{ layer: number; group: LayerGroup; linear: Linear }> {
  for (let layer = 0; layer < config.nLayers; layer++) {
    for (const group of groupsOfLayer(config, layer)) {
      for (const linear of group.linears) yield { layer, group, linear };
    }
  }
}

/** The tensors that are no linear of a block: embeddings, norms, biases, head. */
export function restNames(config: ModelConfig, { tensors }: Checkpoint): string[] {
  const linears = new Set([...linearsOf(config)].map(({ linear }) => linear.name));
  return [...tensors.keys()].filter((name) => !linears.has(name));
}

/**
 * The output has the aligned model's configuration: what it says of the head must hold for the tuned model's embeddings.
 * @throws PipelineError `incompatible`
 */
export function requireSameHead({ aligned, tuned }: Models): void {
  if (aligned.config.tied === tuned.config.tied) return;
  const word = (tied: boolean) => (tied ? "its embeddings" : "a matrix of its own");
  throw new PipelineError(
    "incompatible",
    `--rest tuned: the output head is ${word(aligned.config.tied)} in the aligned model and ${word(tuned.config.tied)} in the tuned one; ` +
      "one output cannot be both. Leave --rest away.",
  );
}

/** @throws PipelineError `incompatible` naming the first tensor of an aligned model whose type cannot be written (see `isWritable`) */
export function requireWritable({ checkpoint }: OpenedModel): void {
  for (const info of checkpoint.tensors.values()) requireWritableType(info, checkpoint.spec);
}

/** @throws PipelineError `incompatible` naming the first linear that would be rounded on reading (F64) */
function requireExact({ checkpoint, config }: OpenedModel): void {
  for (const { linear } of linearsOf(config)) {
    const info = checkpoint.tensors.get(linear.name);
    if (info) requireExactType(info, checkpoint.spec);
  }
}

/** @throws PipelineError `incompatible` when a state belongs to another model: by config, rest and first layer here, by every weight on reading */
export async function checkState(state: State, { checkpoint, config, configSha256 }: OpenedModel): Promise<void> {
  if (state.manifest.model.configSha256 !== configSha256) throw foreignState(state, checkpoint);
  const known = { ...state.manifest.model.rest, ...state.manifest.layers[0]?.linears };
  for (const name of [...restNames(config, checkpoint), ...linearNames(config, 0)]) {
    const { bytes } = await checkpoint.read(name);
    if (sha256(bytes) !== known[name]) throw foreignState(state, checkpoint);
  }
}

function foreignState(state: State, aligned: Checkpoint): PipelineError {
  return new PipelineError(
    "incompatible",
    `${state.folder}: was prepared from another model (${state.manifest.model.spec}) than ${aligned.spec}. ` +
      "Give that model as --aligned, or prepare this one.",
  );
}

/** Both weights of one linear in engine memory, with the hashes of what was read. */
export interface PairWeights extends Disposable {
  readonly aligned: Matrix;
  readonly tuned: Matrix;
  readonly alignedSha256: string;
  readonly tunedSha256: string;
}

/**
 * Read one linear of both models.
 * @throws PipelineError `incompatible` for NaN or Inf, or when the aligned weight is not the one the state was made from
 */
export async function readPair(
  engine: Engine,
  pair: Models,
  state: State,
  layer: number,
  name: string,
): Promise<PairWeights> {
  const [a, t] = await Promise.all([pair.aligned.checkpoint.read(name), pair.tuned.checkpoint.read(name)]);
  const hashed = Promise.all([sha256Aside(a.bytes), sha256Aside(t.bytes)]);
  using made = new DisposableStack();
  const aligned = made.use(uploadF32(engine, a, pair.aligned.checkpoint.spec));
  const tuned = made.use(uploadF32(engine, t, pair.tuned.checkpoint.spec));
  const [alignedSha256, tunedSha256] = await hashed;
  if (alignedSha256 !== state.manifest.layers[layer]?.linears[name]) throw foreignState(state, pair.aligned.checkpoint);
  const held = made.move();
  return { aligned, tuned, alignedSha256, tunedSha256, [Symbol.dispose]: () => held.dispose() };
}
