import type { AttentionShape, Matrix } from "@safedelta/engine";
import type { ModelConfig } from "./config.ts";
import { ModelError } from "./error.ts";
import type { Batch, Segment } from "./workspace.ts";

/**
 * attended := causal attention of each segment of the batch over its own sequence. With a cache the batch's keys and values
 * are first stored there and the segment's past is read from it.
 */
export function attend(batch: Batch, cache: Matrix | undefined): void {
  const { nHeads, nKvHeads, headDim } = batch.config;
  const kvWidth = 2 * nKvHeads * headDim;
  const kv = batch.qkv.view(0, nHeads * headDim, batch.nTokens, kvWidth);
  if (cache) batch.engine.scatter(kv, batch.cacheRows, null, cache);
  for (const segment of batch.segments) {
    const { start, length, past, cacheRow = 0 } = segment;
    if (!cache && past > 0)
      throw new ModelError("incompatible", [`${past} past tokens, but no cache that holds them.`]);
    const seen = cache ? cache.view(cacheRow, 0, past + length, kvWidth) : kv.view(start, 0, length, kvWidth);
    attendSegment(batch, segment, seen);
  }
}

/** `seen`: keys and values side by side of all past + length tokens of the segment's sequence. */
function attendSegment(batch: Batch, { start, length, past }: Segment, seen: Matrix): void {
  const window = batch.config.slidingWindow ?? Number.POSITIVE_INFINITY;
  const nWhole = Math.min(length, Math.max(0, window - past));
  if (nWhole > 0) attendRows(batch, start, nWhole, seen.view(0, 0, past + nWhole, seen.cols));
  for (let i = nWhole; i < length; i++) {
    attendRows(batch, start + i, 1, seen.view(past + i + 1 - window, 0, window, seen.cols));
  }
}

/** Attention of `count` query rows, the last of which sees all rows of `seen`, each one before a row less. */
function attendRows({ engine, config, qkv, attended }: Batch, row: number, count: number, seen: Matrix): void {
  const width = config.nHeads * config.headDim;
  const kvWidth = config.nKvHeads * config.headDim;
  const keys = seen.view(0, 0, seen.rows, kvWidth);
  const values = seen.view(0, kvWidth, seen.rows, kvWidth);
  const out = attended.view(row, 0, count, width);
  engine.attention(qkv.view(row, 0, count, width), keys, values, attentionShape(config), out);
}

function attentionShape({ nHeads, nKvHeads, headDim }: ModelConfig): AttentionShape {
  return { nHeads, nKvHeads, headDim, scale: 1 / Math.sqrt(headDim) };
}
