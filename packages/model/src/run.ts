import type { Matrix } from "@safedelta/engine";
import { checkIds, scaleEmbedding } from "./embed.ts";
import { forwardLayer, type LayerCache } from "./forward.ts";
import type { Model } from "./model.ts";
import { type Batch, openWorkspace, type Segment } from "./workspace.ts";

/** The most of everything that one step of a run may take. */
export interface RunSize {
  readonly nTokens: number;
  /** Positions whose logits are asked for. */
  readonly nOutputs: number;
  /** Tokens that the cache of each layer holds; 0: no cache, every sequence runs in one step. */
  readonly nCacheRows: number;
}

/** A model with the memory to run batches of tokens, and to remember what it has seen. */
export interface Run extends Disposable {
  /** Run packed tokens; gives the logits (outputs.length x vocabularySize, row-major) of the asked batch rows. */
  step(ids: readonly number[], segments: readonly Segment[], outputs: readonly number[]): Float32Array;
  /** Copy `count` rows of every layer's cache, from row `from` on, to the rows from `to` on. */
  copyCache(from: number, to: number, count: number): void;
}

/** @throws EngineMemoryError when caches and work matrices do not fit. */
export function openRun(model: Model, { nTokens, nOutputs, nCacheRows }: RunSize): Run {
  const { engine, config, layers } = model;
  using owned = new DisposableStack();
  const alloc = (rows: number, cols: number) => owned.use(engine.alloc(rows, cols));
  const workspace = owned.use(openWorkspace(engine, config, nTokens));
  const x = alloc(nTokens, config.hiddenSize);
  const picked = alloc(nOutputs, config.hiddenSize);
  const logits = alloc(nOutputs, config.vocabularySize);
  const caches = nCacheRows > 0 ? layers.map(() => alloc(nCacheRows, 2 * config.nKvHeads * config.headDim)) : [];
  const kept = owned.move();
  return {
    step(ids, segments, outputs) {
      checkIds(config, ids);
      const hidden = top(x, ids.length);
      runLayers(model, workspace.batch(segments), ids, hidden, caches);
      return readLogits(model, hidden, outputs, top(picked, outputs.length), top(logits, outputs.length));
    },
    copyCache(from, to, count) {
      for (const cache of caches)
        engine.convert(cache.view(from, 0, count, cache.cols), cache.view(to, 0, count, cache.cols));
    },
    [Symbol.dispose]: () => kept.dispose(),
  };
}

/** x := what leaves the last layer for these tokens. */
function runLayers(model: Model, batch: Batch, ids: readonly number[], x: Matrix, caches: readonly LayerCache[]): void {
  const { engine, config, embedding, layers } = model;
  engine.gather(embedding, Int32Array.from(ids), null, x);
  scaleEmbedding(engine, config, x);
  layers.forEach((weights, layer) => {
    forwardLayer(batch, weights, x, { cache: caches[layer] });
  });
}

function readLogits(model: Model, x: Matrix, rows: readonly number[], picked: Matrix, logits: Matrix): Float32Array {
  const { engine, config, finalNorm, head } = model;
  engine.gather(x, Int32Array.from(rows), null, picked);
  engine.rmsNorm(picked, finalNorm, config.rmsNormEps, config.normOffset, picked);
  engine.gemm(1, picked, false, head, true, 0, logits);
  return engine.read(logits) as Float32Array;
}

function top(matrix: Matrix, rows: number): Matrix {
  return matrix.view(0, 0, rows, matrix.cols);
}
