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

/** Visit the wanted linears of a pool. */
export type PoolPass = (
  stage: string,
  wanted: (name: string) => boolean,
  visit: (name: string, linear: PoolLinear) => void,
) => Promise<void>;

/** What is known of a linear whose group keeps its Hessian. */
interface Open {
  readonly unit: number;
  readonly fullSafetyLoss: number;
}

/**
 * One λ for all linears of a pool, whose summed safety loss is `share` of the full one, as a budget for each by name. A group with a spectrum is
 * measured once; those that keep their Hessians cost one pass more over their linears for each λ that is tried, some five.
 */
export async function solveOptimalPool(share: number, pass: PoolPass): Promise<Map<string, Budget>> {
  const [curves, open] = [new Map<string, OptimalCurve>(), new Map<string, Open>()];
  await pass(
    "measuring the pool",
    () => true,
    (name, linear) => {
      const { factor } = linear;
      if ("vectors" in factor) curves.set(name, linear.curve(factor));
      else open.set(name, { unit: factor.unit, fullSafetyLoss: linear.lossesAt(0).fullSafetyLoss });
    },
  );
  if (open.size === 0) {
    const budgets = solvePool([...curves.values()], share);
    return new Map([...curves.keys()].map((name, i) => [name, budgets[i]]));
  }
  const lambda = await searchLambda(curves, open, share, pass);
  return new Map([...curves, ...open].map(([name, { unit }]) => [name, strength(lambda * unit)]));
}

async function searchLambda(
  curves: ReadonlyMap<string, OptimalCurve>,
  open: ReadonlyMap<string, Open>,
  share: number,
  pass: PoolPass,
): Promise<number> {
  const known = [...curves.values()].map((curve) => ({ unit: curve.unit, ...numbersAt(curve, strength(0)) }));
  const all = [...known, ...open.values()];
  const full = all.reduce((sum, { fullSafetyLoss }) => sum + fullSafetyLoss, 0);
  const weighted = all.reduce((sum, { unit, fullSafetyLoss }) => sum + unit * fullSafetyLoss, 0);
  const search = lambdaSearch(full, share, weighted / full);
  let step = search.next();
  for (let n = 1; !step.done; n++) {
    const lambda = step.value;
    let loss = 0;
    for (const curve of curves.values()) loss += numbersAt(curve, strength(lambda * curve.unit)).safetyLoss;
    await pass(
      `solving the pool, step ${n}`,
      (name) => open.has(name),
      (name, linear) => {
        loss += linear.lossesAt(lambda * (open.get(name) as Open).unit).safetyLoss;
      },
    );
    step = search.next(loss);
  }
  return step.value;
}

const strength = (value: number): Budget => ({ kind: "strength", value });
