import {
  type Budget,
  type Losses,
  lambdaSearch,
  numbersAt,
  type OptimalCurve,
  type OptimalFactor,
  type Spectrum,
  solvePool,
} from "@safedelta/core";

/** One linear of a pool by `optimal`, while its weights are in memory. */
export interface PoolLinear {
  readonly factor: OptimalFactor;
  curve(spectrum: Spectrum): OptimalCurve;
  lossesAt(strength: number): Losses;
}

/** What is known of a linear whose group keeps its Hessian. */
interface Open {
  readonly unit: number;
  readonly fullSafetyLoss: number;
}

/** What a pool begins with, in plain values: all of a linear whose group keeps a spectrum, the scale of another. */
export type PoolStart = OptimalCurve | Open;

/** What a search asks of the linears of a pool; each call is a pass over those that it names. */
export interface OptimalPool {
  /** Of every linear, in forward order. */
  start(): Promise<ReadonlyMap<string, PoolStart>>;
  /** At one strength for each linear by name. */
  lossesAt(stage: string, strengths: Readonly<Record<string, number>>): Promise<ReadonlyMap<string, Losses>>;
}

/** The stage in which every linear is measured. */
export const firstPass = "measuring the pool";

/** Measure one linear for a pool. */
export function poolStart({ factor, curve, lossesAt }: PoolLinear): PoolStart {
  return "vectors" in factor ? curve(factor) : { unit: factor.unit, fullSafetyLoss: lossesAt(0).fullSafetyLoss };
}

/**
 * One λ for all linears of a pool, whose summed safety loss is `share` of the full one, as a budget for each by name. A group with a spectrum is
 * measured once; those that keep their Hessians cost one pass more over their linears for each λ that is tried, some five.
 */
export async function solveOptimalPool(share: number, pool: OptimalPool): Promise<Map<string, Budget>> {
  const [curves, open] = [new Map<string, OptimalCurve>(), new Map<string, Open>()];
  for (const [name, found] of await pool.start()) {
    if ("energies" in found) curves.set(name, found);
    else open.set(name, found);
  }
  if (open.size === 0) {
    const budgets = solvePool([...curves.values()], share);
    return new Map([...curves.keys()].map((name, i) => [name, budgets[i]]));
  }
  const lambda = await searchLambda(curves, open, share, pool);
  return new Map([...curves, ...open].map(([name, { unit }]) => [name, strength(lambda * unit)]));
}

async function searchLambda(
  curves: ReadonlyMap<string, OptimalCurve>,
  open: ReadonlyMap<string, Open>,
  share: number,
  pool: OptimalPool,
): Promise<number> {
  const known = [...curves.values()].map((curve) => ({ unit: curve.unit, ...numbersAt(curve, strength(0)) }));
  const all = [...known, ...open.values()];
  const full = sum(all.map(({ fullSafetyLoss }) => fullSafetyLoss));
  const weighted = sum(all.map(({ unit, fullSafetyLoss }) => unit * fullSafetyLoss));
  const search = lambdaSearch(full, share, weighted / full);
  let step = search.next();
  for (let n = 1; !step.done; n++) {
    const lambda = step.value;
    const strengths = Object.fromEntries([...open].map(([name, { unit }]) => [name, lambda * unit]));
    const measured = await pool.lossesAt(`solving the pool, step ${n}`, strengths);
    const computed = [...curves.values()].map((curve) => numbersAt(curve, strength(lambda * curve.unit)));
    step = search.next(sum([...computed, ...measured.values()].map(({ safetyLoss }) => safetyLoss)));
  }
  return step.value;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

const strength = (value: number): Budget => ({ kind: "strength", value });
