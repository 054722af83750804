import type { Matrix } from "@safedelta/engine";
import { type AttentionPiece, attentionPieces, attentionShape, type Batch, type Segment } from "@safedelta/model";
import type { KeptLayer } from "./kept.ts";

/**
 * Gradients of queries, keys and values (side by side in dQkv) out of that of what attention gave, segment by segment. The segments
 * are whole sequences.
 */
export function backwardAttention(batch: Batch, kept: KeptLayer, dAttended: Matrix, dQkv: Matrix): void {
  for (const segment of batch.segments) {
    const pieces = attentionPieces(segment, batch.config);
    for (const [i, piece] of pieces.entries()) backwardPiece(batch, segment, piece, kept, dAttended, dQkv, i === 0);
  }
}

/** Adds to the gradients of the keys and values that the piece sees, the first piece of a segment overwrites them all. */
function backwardPiece(
  { engine, config }: Batch,
  { start, length }: Segment,
  { row, count, from, to }: AttentionPiece,
  kept: KeptLayer,
  dAttended: Matrix,
  dQkv: Matrix,
  first: boolean,
): void {
  const [width, kvWidth] = [config.nHeads * config.headDim, config.nKvHeads * config.headDim];
  const queries = (m: Matrix) => m.view(row, 0, count, width);
  const keys = (m: Matrix) => m.view(start + from, width, to - from, kvWidth);
  const values = (m: Matrix) => m.view(start + from, width + kvWidth, to - from, kvWidth);
  if (first) engine.fill(dQkv.view(start, width, length, 2 * kvWidth), 0);
  const forward = [queries(kept.rotated), keys(kept.rotated), values(kept.rotated)] as const;
  engine.attentionBackward(
    ...forward,
    attentionShape(config),
    queries(kept.attended),
    queries(dAttended),
    queries(dQkv),
    keys(dQkv),
    values(dQkv),
  );
}
