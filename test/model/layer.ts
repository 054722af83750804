import type { Engine, Matrix } from "@safedelta/engine";
import {
  embed,
  forwardLayer,
  type GroupName,
  groupsOfLayer,
  type LayerCache,
  type LayerWeights,
  loadLayer,
  type ModelConfig,
  openWorkspace,
  packSegments,
  parseConfig,
  type Segment,
} from "@safedelta/model";
import { fixture, fixtureConfig, withCheckpoint } from "./support.ts";

/** Layer 0 of a pico model, and embeddings as its input. */
export interface LayerTrial extends Disposable {
  readonly engine: Engine;
  readonly config: ModelConfig;
  readonly weights: LayerWeights;
  /** Embeddings of these tokens, tokens x hiddenSize. */
  input(ids: readonly number[]): Promise<Matrix>;
}

export async function openLayer(engine: Engine, family: string): Promise<LayerTrial> {
  const config = parseConfig(fixtureConfig(family));
  const weights = await withCheckpoint(fixture(family), (checkpoint) => loadLayer(engine, checkpoint, config, 0));
  return {
    engine,
    config,
    weights,
    input: (ids) => withCheckpoint(fixture(family), (checkpoint) => embed(engine, checkpoint, config, ids)),
    [Symbol.dispose]: () => weights[Symbol.dispose](),
  };
}

/** What a pass through the layer gave: its output, and for each group the Hessian XᵀX of what entered. */
export interface Seen {
  readonly output: Float32Array;
  readonly activations: ReadonlyMap<GroupName, Float32Array>;
  readonly hessians: ReadonlyMap<GroupName, Float32Array>;
}

/** Run packed sequences through the layer. */
export async function passPacked(trial: LayerTrial, sequences: readonly (readonly number[])[]): Promise<Seen> {
  const { engine, config, weights } = trial;
  using owned = new DisposableStack();
  const hessians = new Map(
    groupsOfLayer(config, 0).map(({ name, cols }) => [name, owned.use(engine.alloc(cols, cols))]),
  );
  const x = owned.use(await trial.input(sequences.flat()));
  const workspace = owned.use(openWorkspace(engine, config, x.rows));
  const activations = new Map<GroupName, Float32Array>();
  const tap = (group: GroupName, matrix: Matrix) => {
    activations.set(group, engine.read(matrix) as Float32Array);
    engine.gemm(1, matrix, true, matrix, false, 0, hessians.get(group) as Matrix);
  };
  forwardLayer(workspace.batch(packSegments(sequences.map(({ length }) => length))), weights, x, { tap });
  const read = ([name, matrix]: [GroupName, Matrix]) => [name, engine.read(matrix) as Float32Array] as const;
  return { output: engine.read(x) as Float32Array, activations, hessians: new Map([...hessians].map(read)) };
}

/** Run one batch of segments with a cache; gives the layer's output. */
export async function passCached(
  trial: LayerTrial,
  ids: readonly number[],
  segments: readonly Segment[],
  cache: LayerCache | undefined,
): Promise<Float32Array> {
  using x = await trial.input(ids);
  using workspace = openWorkspace(trial.engine, trial.config, ids.length);
  forwardLayer(workspace.batch(segments), trial.weights, x, { cache });
  return trial.engine.read(x) as Float32Array;
}
