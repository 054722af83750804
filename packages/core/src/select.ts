import type { Engine, Matrix } from "@safedelta/engine";
import type { KeptBlock } from "./kept.ts";

/** How much a selection may keep. */
export interface Allowance {
  /** Largest cumulative loss, in the units of Δ²·sensitivity. */
  readonly limit: number;
  /** Most entries. */
  readonly maxEntries: number;
}

/** The kept prefix and the loss it spends. */
export interface Selection {
  readonly blocks: readonly KeptBlock[];
  readonly spent: number;
}

/** A prefix of the walk: all rows of `whole` columns, then of the columns `group` the first `nRows` rows and `nMore` entries of the next. */
interface Prefix {
  readonly whole: number[];
  group: Int32Array;
  nRows: number;
  nMore: number;
  nEntries: number;
  spent: number;
}

/**
 * The longest prefix of the entries, walked by ascending sensitivity, whose losses Δ²_ij · sensitivity_j sum up to the limit at
 * most. The sensitivity is a column's, so the walk goes column by column; columns of equal sensitivity (dead ones) are walked row
 * by row together. That is the stable order of the official code's sort, without sorting entries. Sums are taken in f64.
 * @param delta Δ, rows x cols
 * @param sensitivity one value for each column
 */
export function selectPrefix(
  engine: Engine,
  delta: Matrix,
  sensitivity: Float64Array,
  { limit, maxEntries }: Allowance,
): Selection {
  const losses = engine.columnSquares(delta).map((square, j) => square * sensitivity[j]);
  const prefix: Prefix = { whole: [], group: new Int32Array(), nRows: 0, nMore: 0, nEntries: 0, spent: 0 };
  for (const group of tieGroups(sensitivity)) {
    const loss = group.reduce((sum, j) => sum + losses[j], 0);
    const size = group.length * delta.rows;
    if (prefix.nEntries + size <= maxEntries && prefix.spent + loss <= limit) {
      prefix.whole.push(...group);
      prefix.nEntries += size;
      prefix.spent += loss;
    } else {
      walkGroup(engine, delta, sensitivity, group, { limit, maxEntries }, prefix);
      break;
    }
  }
  return { blocks: keptBlocks(prefix, delta.rows), spent: prefix.spent };
}

/** Columns by ascending sensitivity; those of equal sensitivity together, ascending. */
function tieGroups(sensitivity: Float64Array): Int32Array[] {
  const order = Int32Array.from(sensitivity.keys()).sort((a, b) => sensitivity[a] - sensitivity[b] || a - b);
  const groups: Int32Array[] = [];
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && sensitivity[order[end]] === sensitivity[order[start]]) end++;
    groups.push(order.subarray(start, end));
  }
  return groups;
}

/** Extend the prefix into a group that does not fit as a whole, entry by entry, rows outermost. */
function walkGroup(
  engine: Engine,
  delta: Matrix,
  sensitivity: Float64Array,
  group: Int32Array,
  { limit, maxEntries }: Allowance,
  prefix: Prefix,
): void {
  using columns = engine.alloc(delta.rows, group.length);
  engine.gather(delta, null, group, columns);
  const first = prefix.nEntries;
  for (const value of engine.read(columns)) {
    const spent = prefix.spent + value ** 2 * sensitivity[group[0]];
    if (spent > limit || prefix.nEntries === maxEntries) break;
    prefix.spent = spent;
    prefix.nEntries++;
  }
  prefix.group = group;
  prefix.nRows = Math.floor((prefix.nEntries - first) / group.length);
  prefix.nMore = (prefix.nEntries - first) % group.length;
}

/** The prefix as at most three bands of rows: with the whole group, with a part of it, without it. */
function keptBlocks({ whole, group, nRows, nMore }: Prefix, rows: number): KeptBlock[] {
  const band = (row: number, n: number, part: Int32Array) => ({
    row,
    nRows: n,
    cols: Int32Array.from([...whole, ...part]).sort(),
  });
  const nPartial = nMore > 0 ? 1 : 0;
  const bands = [
    band(0, nRows, group),
    band(nRows, nPartial, group.subarray(0, nMore)),
    band(nRows + nPartial, rows - nRows - nPartial, new Int32Array()),
  ];
  return bands.filter((block) => block.nRows > 0 && block.cols.length > 0);
}
