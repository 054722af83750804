import { randomStream } from "@safedelta/model";
import { EvaluationError } from "./errors.ts";
import { mean } from "./mean.ts";

/** A mean with its bootstrap interval. */
export interface Mean {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

/** How often is drawn again, by which seed, and how sure the interval is. */
export interface BootstrapOptions {
  readonly nDraws?: number;
  readonly seed?: number;
  readonly confidence?: number;
}

/**
 * The mean and its percentile interval over examples drawn again with replacement (Efron 1979).
 * @throws EvaluationError without values, or for values that are not finite
 */
export function bootstrapMean(values: readonly number[], options: BootstrapOptions = {}): Mean {
  const { nDraws = 10_000, seed = 0, confidence = 0.95 } = options;
  if (values.length === 0 || !values.every(Number.isFinite))
    throw new EvaluationError(`bootstrap: ${values.length} values; at least one is needed, all of them finite`);
  const means = drawnMeans(values, nDraws, seed).sort();
  const tail = (1 - confidence) / 2;
  return {
    mean: mean(values),
    low: quantile(means, tail),
    high: quantile(means, 1 - tail),
    n: values.length,
  };
}

/** Mean of b − a over the same examples, with its interval: pairs are drawn, not values. @throws EvaluationError as `bootstrapMean` */
export function pairedBootstrap(a: readonly number[], b: readonly number[], options: BootstrapOptions = {}): Mean {
  if (a.length !== b.length) throw new EvaluationError(`bootstrap: ${a.length} and ${b.length} values do not pair up`);
  const differences = b.map((value, i) => value - a[i]);
  return bootstrapMean(differences, options);
}

function drawnMeans(values: readonly number[], nDraws: number, seed: number): Float64Array {
  const random = randomStream(seed, 0);
  return Float64Array.from({ length: nDraws }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[Math.floor(random() * values.length)];
    return sum / values.length;
  });
}

/** Linear between the sorted values, as numpy.quantile. */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
