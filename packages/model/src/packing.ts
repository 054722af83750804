import { packSegments, type Segment } from "./workspace.ts";

/** Tokens that go through a layer at once: enough for full speed, small enough for the work matrices. */
export const batchTokens = 512;

/** Sequences that go through a layer together, and which rows of all their hidden states are theirs. */
export interface PackedBatch {
  readonly firstRow: number;
  readonly nRows: number;
  readonly ids: readonly number[];
  readonly segments: readonly Segment[];
}

/** Whole sequences, in their order, up to `batchTokens` a batch (a longer sequence goes alone). */
export function packSequences(sequences: readonly (readonly number[])[]): PackedBatch[] {
  const batches: PackedBatch[] = [];
  let firstRow = 0;
  for (let at = 0; at < sequences.length; ) {
    const ids: number[] = [];
    const lengths: number[] = [];
    while (at < sequences.length && (ids.length === 0 || ids.length + sequences[at].length <= batchTokens)) {
      lengths.push(sequences[at].length);
      ids.push(...sequences[at++]);
    }
    batches.push({ firstRow, nRows: ids.length, ids, segments: packSegments(lengths) });
    firstRow += ids.length;
  }
  return batches;
}
