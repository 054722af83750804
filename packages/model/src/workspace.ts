import type { Engine, Matrix } from "@safedelta/engine";
import type { ModelConfig } from "./config.ts";
import { ModelError } from "./error.ts";
import { ropeFrequencies, ropeTables } from "./rope.ts";

/** The rows of a packed batch that belong to one sequence, in order. */
export interface Segment {
  /** First row in the batch. */
  readonly start: number;
  /** Number of rows: the tokens to run now. */
  readonly length: number;
  /** Tokens of the sequence run before; their keys and values are in the cache. 0 without a cache. */
  readonly past: number;
  /** Row of the layer caches that holds the sequence's first token; 0 unless given. Not read without a cache. */
  readonly cacheRow?: number;
}

/** Segments of whole sequences of these lengths, end to end. */
export function packSegments(lengths: readonly number[]): Segment[] {
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return { start: end - length, length, past: 0 };
  });
}

/** A packed batch ready for `forwardLayer`: its segments, rotary tables and work matrices, one row a token. */
export interface Batch {
  readonly engine: Engine;
  readonly config: ModelConfig;
  readonly segments: readonly Segment[];
  readonly nTokens: number;
  /** For each token its row in the layer caches. */
  readonly cacheRows: Int32Array;
  /** nTokens x headDim/2. */
  readonly cos: Matrix;
  readonly sin: Matrix;
  /** nTokens x hiddenSize: what enters a group of linears after an RMS norm. */
  readonly normed: Matrix;
  /** nTokens x (nHeads + 2 nKvHeads)·headDim: queries, keys and values side by side. */
  readonly qkv: Matrix;
  /** nTokens x nHeads·headDim: what attention gives. */
  readonly attended: Matrix;
  /** nTokens x 2·intermediateSize: gate and up side by side. */
  readonly gateUp: Matrix;
}

/** Reusable work memory of forward passes of at most `capacity` tokens. */
export interface Workspace extends Disposable {
  readonly capacity: number;
  /** Take the memory for these segments, which must cover their rows end to end. Ends the batch given before. */
  batch(segments: readonly Segment[]): Batch;
}

/** Numbers a token in each work matrix. */
function widths(config: ModelConfig) {
  const { nHeads, nKvHeads, headDim } = config;
  return {
    cos: headDim / 2,
    sin: headDim / 2,
    normed: config.hiddenSize,
    qkv: (nHeads + 2 * nKvHeads) * headDim,
    attended: nHeads * headDim,
    gateUp: 2 * config.intermediateSize,
  };
}

/** Bytes that a workspace takes of engine memory. */
export function workspaceBytes(config: ModelConfig, capacity: number): number {
  return 4 * capacity * Object.values(widths(config)).reduce((a, b) => a + b, 0);
}

/** @throws EngineMemoryError when the engine cannot hold `workspaceBytes`. */
export function openWorkspace(engine: Engine, config: ModelConfig, capacity: number): Workspace {
  using owned = new DisposableStack();
  const frequencies = ropeFrequencies(config.rope, config.headDim);
  const matrices = mapValues(widths(config), (cols) => owned.use(engine.alloc(capacity, cols)));
  const batch = (segments: readonly Segment[]): Batch => {
    const nTokens = checkSegments(segments, capacity);
    const views = mapValues(matrices, (matrix) => matrix.view(0, 0, nTokens, matrix.cols));
    const { cos, sin } = ropeTables(
      frequencies,
      tokenPlaces(segments, () => 0),
    );
    engine.write(views.cos, cos);
    engine.write(views.sin, sin);
    const cacheRows = tokenPlaces(segments, ({ cacheRow }) => cacheRow ?? 0);
    return { engine, config, segments, nTokens, cacheRows, ...views };
  };
  const kept = owned.move();
  return { capacity, batch, [Symbol.dispose]: () => kept.dispose() };
}

/** For each token of a packed batch: the base of its segment plus its position in the sequence. */
function tokenPlaces(segments: readonly Segment[], base: (segment: Segment) => number): Int32Array {
  return Int32Array.from(
    segments.flatMap((segment) => Array.from({ length: segment.length }, (_, i) => base(segment) + segment.past + i)),
  );
}

/** The number of tokens of segments that lie end to end from row 0. */
function checkSegments(segments: readonly Segment[], capacity: number): number {
  let end = 0;
  for (const { start, length, past } of segments) {
    if (start !== end || length < 1 || past < 0) {
      throw new ModelError("incompatible", [
        `A segment of ${length} rows from ${start} after ${past} tokens does not follow row ${end}.`,
      ]);
    }
    end += length;
  }
  if (end > capacity) throw new ModelError("incompatible", [`${end} tokens do not fit the workspace of ${capacity}.`]);
  return end;
}

function mapValues<K extends string, A, B>(record: Record<K, A>, change: (value: A) => B): Record<K, B> {
  const entries = Object.entries<A>(record).map(([key, value]) => [key, change(value)]);
  return Object.fromEntries(entries) as Record<K, B>;
}
