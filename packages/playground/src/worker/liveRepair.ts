import {
  accumulate,
  type Budget,
  difference,
  finishHessian,
  numbersAt,
  type OptimalCurve,
  optimalCurve,
  type PreparedGroup,
  type RepairNumbers,
  repair,
  spectrum,
  type Weights,
} from "@safedelta/core";
import type { Matrix } from "@safedelta/engine";
import {
  batchTokens,
  forwardLayer,
  type GroupName,
  groupsOfLayer,
  type Model,
  modelTensors,
  nextTurn,
  openWorkspace,
  type PackedBatch,
  packSequences,
  scaleEmbedding,
  type Workspace,
} from "@safedelta/model";

/** The models of a live repair, in one engine. Only the linears of `repaired` are written; all else of it is the aligned model's. */
export interface LiveModels {
  readonly aligned: Model;
  readonly tuned: Model;
  readonly repaired: Model;
}

/** One linear, ready for any budget. */
export interface LiveLinear {
  readonly name: string;
  readonly layer: number;
  readonly weights: Weights;
  readonly repaired: Matrix;
  readonly prepared: PreparedGroup;
  readonly curve: OptimalCurve;
}

/** A pair that is prepared for mode `optimal`. Disposing it frees the spectra. */
export interface LiveRepair extends Disposable {
  readonly linears: readonly LiveLinear[];
  /** What a budget would give, from the curves alone. */
  numbersAt(share: number): RepairNumbers[];
  /** Write the repaired weights for a share of the fine-tuning's safety loss. @throws CoreError */
  repairAt(share: number): void;
}

/**
 * `prepare` and the curves of `sweep`, with everything in memory: for models that fit it several times over.
 * @param sequences token ids of the safe examples
 * @param onLayer hears of each finished layer
 */
export async function prepareLive(
  models: LiveModels,
  sequences: readonly (readonly number[])[],
  onLayer: (layer: number) => void,
): Promise<LiveRepair> {
  const { engine, config } = models.aligned;
  using owned = new DisposableStack();
  const batches = packSequences(sequences);
  const nTokens = batches.reduce((sum, { nRows }) => sum + nRows, 0);
  using hidden = engine.alloc(nTokens, config.hiddenSize);
  embedAll(models.aligned, batches, hidden);
  using workspace = openWorkspace(engine, config, Math.max(batchTokens, ...batches.map(({ nRows }) => nRows)));
  const linears: LiveLinear[] = [];
  for (let layer = 0; layer < config.nLayers; layer++) {
    const prepared = prepareLayer(models.aligned, layer, { batches, hidden, workspace }, sequences.length, owned);
    linears.push(...linearsOf(models, layer, prepared));
    onLayer(layer);
    await nextTurn();
  }
  const kept = owned.move();
  const budget = (share: number): Budget => ({ kind: "loss", share });
  return {
    linears,
    numbersAt: (share) => linears.map(({ curve }) => numbersAt(curve, budget(share))),
    repairAt: (share) => {
      for (const linear of linears) repairOne(models, linear, budget(share));
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}

/** The examples on their way through the model. */
interface Pass {
  readonly batches: readonly PackedBatch[];
  /** nTokens x hiddenSize: what enters the next layer. */
  readonly hidden: Matrix;
  readonly workspace: Workspace;
}

function embedAll(model: Model, batches: readonly PackedBatch[], hidden: Matrix): void {
  const { engine, config, embedding } = model;
  const ids = Int32Array.from(batches.flatMap((batch) => batch.ids));
  engine.gather(embedding, ids, null, hidden);
  scaleEmbedding(engine, config, hidden);
}

/** Run all examples through a layer, and decompose the Hessians of its groups. */
function prepareLayer(
  { engine, config, layers }: Model,
  layer: number,
  { batches, hidden, workspace }: Pass,
  nExamples: number,
  owned: DisposableStack,
): Map<GroupName, PreparedGroup> {
  using sums = new DisposableStack();
  const hessians = new Map<GroupName, Matrix>();
  const groups = groupsOfLayer(config, layer);
  for (const { name, cols } of groups) hessians.set(name, sums.use(engine.alloc(cols, cols)));
  for (const { firstRow, nRows, segments } of batches) {
    const x = hidden.view(firstRow, 0, nRows, config.hiddenSize);
    const tap = (group: GroupName, activations: Matrix) =>
      accumulate(engine, hessians.get(group) as Matrix, activations, nExamples);
    forwardLayer(workspace.batch(segments), layers[layer], x, { tap });
  }
  return new Map(
    groups.map(({ name, cols }) => {
      const hessian = hessians.get(name) as Matrix;
      finishHessian(engine, hessian);
      return [name, { cols, spectrum: owned.use(spectrum(engine, hessian)) }];
    }),
  );
}

function linearsOf(
  { aligned, tuned, repaired }: LiveModels,
  layer: number,
  prepared: ReadonlyMap<GroupName, PreparedGroup>,
): LiveLinear[] {
  const { engine, config } = aligned;
  const [before, after, target] = [aligned, tuned, repaired].map(modelTensors);
  const valuesOf = (tensors: typeof before, name: string) => tensors.get(name)?.values as Matrix;
  return groupsOfLayer(config, layer).flatMap(({ name: group, linears }) =>
    linears.map(({ name }) => {
      const own = prepared.get(group) as PreparedGroup;
      const weights = { aligned: valuesOf(before, name), tuned: valuesOf(after, name) };
      using delta = difference(engine, weights.tuned, weights.aligned);
      const curve = optimalCurve(engine, delta, own.spectrum as NonNullable<PreparedGroup["spectrum"]>);
      return { name, layer, weights, repaired: valuesOf(target, name), prepared: own, curve };
    }),
  );
}

function repairOne({ aligned: { engine } }: LiveModels, linear: LiveLinear, budget: Budget): void {
  const { weight } = repair(engine, "optimal", linear.weights, linear.prepared, budget);
  try {
    engine.convert(weight, linear.repaired);
  } finally {
    weight[Symbol.dispose]();
  }
}
