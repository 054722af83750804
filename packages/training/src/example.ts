import { packSegments, type Segment } from "@safedelta/model";

/** One sequence to learn from. */
export interface TrainingExample {
  readonly ids: readonly number[];
  /** For each position the token that should follow it; −1 where that does not count. */
  readonly targets: readonly number[];
}

/** Sequences that run forward and backward together, packed end to end. */
export interface Pass {
  readonly ids: Int32Array;
  readonly segments: readonly Segment[];
  /** Rows whose next token counts, ascending, and that token for each. */
  readonly rows: Int32Array;
  readonly targets: Int32Array;
}

/** Positions whose next token counts. */
export function countTargets(examples: readonly TrainingExample[]): number {
  return examples.reduce((sum, { targets }) => sum + targets.filter((id) => id >= 0).length, 0);
}

/** Split a batch, in order, into passes of at most `passTokens` tokens; a longer example has a pass of its own. */
export function planPasses(examples: readonly TrainingExample[], passTokens: number): Pass[] {
  const passes: TrainingExample[][] = [];
  let room = 0;
  for (const example of examples) {
    if (passes.length === 0 || example.ids.length > room) {
      passes.push([]);
      room = passTokens;
    }
    passes.at(-1)?.push(example);
    room -= example.ids.length;
  }
  return passes.map(packPass);
}

function packPass(examples: readonly TrainingExample[]): Pass {
  const all = examples.flatMap(({ targets }) => targets);
  const rows = all.flatMap((target, row) => (target >= 0 ? [row] : []));
  return {
    ids: Int32Array.from(examples.flatMap(({ ids }) => ids)),
    segments: packSegments(examples.map(({ ids }) => ids.length)),
    rows: Int32Array.from(rows),
    targets: Int32Array.from(rows, (row) => all[row]),
  };
}
