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
    for (const piece of attentionPieces(segment, batch.config)) attendPiece(batch, piece, seen);
  }
}

/** Rows that attend in one call: `count` rows of the batch from `row`, the last of which sees rows `from` to `to` of its sequence, each one before a row less. */
export interface AttentionPiece {
  readonly row: number;
  readonly count: number;
  readonly from: number;
  readonly to: number;
}

/** A segment in pieces: all rows at once up to the sliding window, then row by row. */
export function attentionPieces({ start, length, past }: Segment, { slidingWindow }: ModelConfig): AttentionPiece[] {
  const window = slidingWindow ?? Number.POSITIVE_INFINITY;
  const nWhole = Math.min(length, Math.max(0, window - past));
  const whole = nWhole > 0 ? [{ row: start, count: nWhole, from: 0, to: past + nWhole }] : [];
  const single = Array.from({ length: length - nWhole }, (_, i) => {
    const to = past + nWhole + i + 1;
    return { row: start + nWhole + i, count: 1, from: to - window, to };
  });
  return [...whole, ...single];
}

/** `seen`: keys and values side by side of all past + length tokens of the segment's sequence. */
function attendPiece(batch: Batch, { row, count, from, to }: AttentionPiece, seen: Matrix): void {
  const { engine, config, qkv, attended } = batch;
  const width = config.nHeads * config.headDim;
  const kvWidth = config.nKvHeads * config.headDim;
  const keys = seen.view(from, 0, to - from, kvWidth);
  const values = seen.view(from, kvWidth, to - from, kvWidth);
  const out = attended.view(row, 0, count, width);
  engine.attention(qkv.view(row, 0, count, width), keys, values, attentionShape(config), out);
}

export function attentionShape({ nHeads, nKvHeads, headDim }: ModelConfig): AttentionShape {
  return { nHeads, nKvHeads, headDim, scale: 1 / Math.sqrt(headDim) };
}
