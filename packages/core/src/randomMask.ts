import type { Engine, Matrix } from "@safedelta/engine";
import type { Kept, KeptBlock } from "./kept.ts";
import { make } from "./matrix.ts";
import type { Weights } from "./repair.ts";

/**
 * Each entry takes the tuned weight with probability `keep`, else the aligned one.
 * @param random one draw an entry, row-major
 */
export function keepAtRandom(
  engine: Engine,
  { aligned, tuned }: Weights,
  keep: number,
  random: () => number,
): { weight: Matrix; kept: Kept } {
  const { rows, cols } = aligned;
  const [values, wanted] = [engine.read(aligned), engine.read(tuned)];
  const blocks: KeptBlock[] = [];
  for (let row = 0; row < rows; row++) {
    const drawn = Int32Array.from({ length: cols }, (_, j) => j).filter(() => random() < keep);
    for (const j of drawn) values[row * cols + j] = wanted[row * cols + j];
    if (drawn.length > 0) blocks.push({ row, nRows: 1, cols: drawn });
  }
  const weight = make(engine, rows, cols, (out) => engine.write(out, values));
  return { weight, kept: { rows, cols, blocks } };
}

/**
 * DARE (Yu et al., ICML 2024, arXiv 2311.03099): W + m ⊙ Δ/(1 − drop), each entry of m being 0 with probability `drop`, new.
 * @param random one draw an entry, row-major
 */
export function dropAndRescale(
  engine: Engine,
  { aligned, tuned }: Weights,
  drop: number,
  random: () => number,
): Matrix {
  const [values, wanted] = [engine.read(aligned), engine.read(tuned)];
  values.forEach((value, at) => {
    if (random() >= drop) values[at] = value + (wanted[at] - value) / (1 - drop);
  });
  return make(engine, aligned.rows, aligned.cols, (out) => engine.write(out, values));
}
