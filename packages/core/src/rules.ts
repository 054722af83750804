import type { Engine, Matrix } from "@safedelta/engine";
import { compensateAll, compensateLater } from "./compensate.ts";
import { type InverseFactor, sensitivityOf } from "./factor.ts";
import type { KeptBlock } from "./kept.ts";
import { diagonalOf } from "./matrix.ts";

/** The modes that select entries by a prefix rule. */
export type PrefixMode = "reference" | "none" | "paper";

/** What tells the prefix modes apart. */
export interface Rule {
  /** Columns that have one budget and one prefix: this many at a time, or all. */
  readonly blockCols: number | "all";
  /** A block's budget is budgetFactor · s · rows/4096 · mean(sensitivity). */
  readonly budgetFactor: number;
  /** Cost of moving column j, as a multiple of Δ². */
  sensitivity(engine: Engine, factor: InverseFactor): Float64Array;
  /** Most entries kept of a block of `numel`. */
  maxEntries(numel: number): number;
  /** Move what is not kept; the arguments of `compensateLater`. */
  compensate(
    engine: Engine,
    factor: InverseFactor,
    delta: Matrix,
    start: number,
    blocks: readonly KeptBlock[],
    weight: Matrix,
  ): void;
}

/** The official code: blocks of 2048 columns, half the budget for each, whatever its width. */
const official: Omit<Rule, "compensate"> = {
  blockCols: 2048,
  budgetFactor: 0.5,
  sensitivity: (engine, { u }) => diagonalOf(engine, u).map((value) => 1 / value ** 2),
  maxEntries: (numel) => {
    const nLeftOut = Math.floor(0.15 * numel);
    return nLeftOut === 0 ? 0 : numel - nLeftOut; // the official slice [0:-0] is empty
  },
};

/**
 * `paper` has one budget a linear, the sum of the official two at 4096 columns, where the paper's models have theirs.
 */
export const rules: Record<PrefixMode, Rule> = {
  reference: { ...official, compensate: compensateLater },
  none: { ...official, compensate: () => {} },
  paper: {
    blockCols: "all",
    budgetFactor: 1,
    sensitivity: sensitivityOf,
    maxEntries: (numel) => numel - Math.floor(0.1 * numel),
    compensate: (engine, factor, delta, _start, blocks, weight) => compensateAll(engine, factor, delta, blocks, weight),
  },
};
