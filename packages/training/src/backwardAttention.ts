import type { Engine, Matrix } from "@safedelta/engine";
import { type AttentionPiece, attentionPieces, attentionShape, type Batch, type ModelConfig } from "@safedelta/model";
import type { KeptLayer } from "./kept.ts";

/**
 * Gradients of queries, keys and values (side by side in dQkv) out of that of what attention gave, sequence by sequence. The
 * segments are whole sequences.
 */
export function backwardAttention(batch: Batch, kept: KeptLayer, dAttended: Matrix, dQkv: Matrix): void {
  const { engine, config } = batch;
  for (const segment of batch.segments) {
    const [whole, ...singles] = attentionPieces(segment, config);
    const rows = (m: Matrix) => m.view(segment.start, 0, segment.length, m.cols);
    const sequence = {
      qkv: rows(kept.rotated),
      attended: rows(kept.attended),
      dAttended: rows(dAttended),
      dQkv: rows(dQkv),
    };
    backwardWhole(engine, config, sequence, whole.count);
    if (singles.length > 0) engine.fill(sequence.dQkv.view(whole.count, 0, singles.length, dQkv.cols), 0);
    for (const piece of singles) backwardSingle(engine, config, sequence, { ...piece, row: piece.row - segment.start });
  }
}

/** One sequence: what attention took and gave, and their gradients. */
interface Sequence {
  readonly qkv: Matrix;
  readonly attended: Matrix;
  readonly dAttended: Matrix;
  readonly dQkv: Matrix;
}

/** The first `count` rows, each of which sees all before it. */
function backwardWhole(engine: Engine, config: ModelConfig, sequence: Sequence, count: number): void {
  const top = (m: Matrix) => m.view(0, 0, count, m.cols);
  const { qkv, attended, dAttended, dQkv } = sequence;
  attentionBackward(engine, config, top(qkv), top(attended), top(dAttended), top(dQkv));
}

/**
 * A row whose window does not reach back to the first: its window as a sequence of its own, of which only the last row has a
 * gradient to give back.
 */
function backwardSingle(
  engine: Engine,
  config: ModelConfig,
  sequence: Sequence,
  { row, from, to }: AttentionPiece,
): void {
  const window = (m: Matrix) => m.view(from, 0, to - from, m.cols);
  const { qkv, attended, dAttended, dQkv } = sequence;
  using dOut = engine.alloc(to - from, dAttended.cols);
  using dWindow = engine.alloc(to - from, dQkv.cols);
  engine.convert(dAttended.view(row, 0, 1, dAttended.cols), dOut.view(to - from - 1, 0, 1, dOut.cols));
  attentionBackward(engine, config, window(qkv), window(attended), dOut, dWindow);
  engine.add(1, dWindow, window(dQkv));
}

function attentionBackward(
  engine: Engine,
  config: ModelConfig,
  qkv: Matrix,
  attended: Matrix,
  dAttended: Matrix,
  dQkv: Matrix,
): void {
  const [q, k, v] = parts(config, qkv);
  const [dQ, dK, dV] = parts(config, dQkv);
  engine.attentionBackward(q, k, v, attentionShape(config), attended, dAttended, dQ, dK, dV);
}

/** Queries, keys and values that lie side by side. */
function parts({ nHeads, nKvHeads, headDim }: ModelConfig, m: Matrix): [Matrix, Matrix, Matrix] {
  const [width, kvWidth] = [nHeads * headDim, nKvHeads * headDim];
  const columns = (col: number, cols: number) => m.view(0, col, m.rows, cols);
  return [columns(0, width), columns(width, kvWidth), columns(width + kvWidth, kvWidth)];
}
