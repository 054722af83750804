import type { Checkpoint } from "@safedelta/checkpoint";
import type { Engine, Matrix } from "@safedelta/engine";
import { type ModelConfig, parseConfig } from "./config.ts";
import { ModelError } from "./error.ts";
import { tensorNames } from "./families.ts";
import { openRun } from "./run.ts";
import { checkTensors } from "./tensors.ts";
import { type LayerWeights, loadLayer, loadMatrix, loadVector, type WeightType } from "./weights.ts";
import { packSegments } from "./workspace.ts";

/** A whole model in engine memory, as f32 unless it is trained in bf16. */
export interface Model extends Disposable {
  readonly engine: Engine;
  readonly config: ModelConfig;
  /** vocabularySize x hiddenSize. */
  readonly embedding: Matrix;
  readonly layers: readonly LayerWeights[];
  /** 1 x hiddenSize. */
  readonly finalNorm: Matrix;
  /** vocabularySize x hiddenSize; the embedding itself when tied. */
  readonly head: Matrix;
}

/**
 * Load all of a model, for generation, logits and training.
 * @param dtype of the matrices; only those in f32 can be run, so a training in bf16 widens them on the way
 * @throws ModelError (`unsupported`, `incompatible`) with every problem at once; CheckpointError; EngineMemoryError.
 */
export async function openModel(engine: Engine, checkpoint: Checkpoint, dtype: WeightType = "f32"): Promise<Model> {
  const config = parseConfig(checkpoint.config);
  const problems = checkTensors(config, checkpoint.tensors);
  if (problems.length > 0) throw new ModelError("incompatible", problems);
  using owned = new DisposableStack();
  const source = { engine, checkpoint, owned, dtype };
  const { vocabularySize, hiddenSize } = config;
  const embedding = await loadMatrix(source, tensorNames.embedding, vocabularySize, hiddenSize);
  const layers: LayerWeights[] = [];
  for (let layer = 0; layer < config.nLayers; layer++) {
    layers.push(owned.use(await loadLayer(engine, checkpoint, config, layer, dtype)));
  }
  const finalNorm = await loadVector(source, tensorNames.finalNorm, hiddenSize);
  const head = config.tied ? embedding : await loadMatrix(source, tensorNames.head, vocabularySize, hiddenSize);
  const kept = owned.move();
  return { engine, config, embedding, layers, finalNorm, head, [Symbol.dispose]: () => kept.dispose() };
}

/** The logits of one sequence: those of its last position (vocabularySize numbers), or of all, row after row. */
export function logits(model: Model, ids: readonly number[], positions: "last" | "all" = "last"): Float32Array {
  const rows = positions === "last" ? [ids.length - 1] : ids.map((_, i) => i);
  using run = openRun(model, { nTokens: ids.length, nOutputs: rows.length, nCacheRows: 0 });
  return run.step(ids, packSegments([ids.length]), rows);
}
