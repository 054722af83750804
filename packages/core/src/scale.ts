import type { Matrix } from "@safedelta/engine";
import { type Kept, nKept } from "./kept.ts";

/** A repair at one scale, with its true safety loss. */
export interface Trial {
  /** Finite: of Infinity, a scale that keeps the same entries. */
  readonly scale: number;
  readonly safetyLoss: number;
  readonly kept: Kept;
  readonly weight: Matrix;
}

/** The loss found lies within this share below the wanted one, unless single entries decide. */
const tolerance = 1e-3;
/** Scales closer than this (relative) are not told apart. */
const resolution = 1e-9;

/**
 * The longest prefix whose true safety loss is `limit` at most, sought over the scale; with the mode's own limit when even that
 * one fits. The true loss has no closed form here, so each trial is a whole repair: interpolation on log scale against log loss,
 * with a bisection at each third step, takes about five.
 * @param attempt repairs at a scale; weights of the trials not returned are disposed
 */
export function longestWithin<T extends Trial>(limit: number, firstScale: number, attempt: (scale: number) => T): T {
  let high = attempt(Number.POSITIVE_INFINITY);
  if (high.safetyLoss <= limit) return high;
  high.weight[Symbol.dispose]();
  let low = attempt(0);
  let scale = firstScale;
  try {
    for (let step = 1; !isSettled(low, high, limit); step++) {
      if (!(scale > low.scale && scale < high.scale)) scale = between(low, high);
      const trial = attempt(scale);
      const [better, worse] = trial.safetyLoss <= limit ? [trial, low] : [low, trial];
      worse.weight[Symbol.dispose]();
      if (better === trial) low = trial;
      else high = trial;
      scale = step % 3 === 0 ? between(low, high) : interpolated(low, high, limit);
    }
    return low;
  } catch (error) {
    low.weight[Symbol.dispose]();
    throw error;
  }
}

function isSettled(low: Trial, high: Trial, limit: number): boolean {
  const isNear = low.safetyLoss >= (1 - tolerance) * limit;
  return isNear || nKept(high.kept) - nKept(low.kept) <= 1 || high.scale - low.scale <= resolution * high.scale;
}

/** Halfway on the log scale; from zero up, a sixteenth. */
function between(low: Trial, high: Trial): number {
  return low.scale > 0 ? Math.sqrt(low.scale * high.scale) : high.scale / 16;
}

/** Where a power law through both trials (through zero, when the lower one has no loss) reaches the middle of the tolerance. */
function interpolated(low: Trial, high: Trial, limit: number): number {
  const wanted = limit * (1 - tolerance / 2);
  if (low.safetyLoss === 0) return (high.scale * wanted) / high.safetyLoss;
  const exponent = Math.log(wanted / low.safetyLoss) / Math.log(high.safetyLoss / low.safetyLoss);
  return low.scale * (high.scale / low.scale) ** exponent;
}
