import { bootstrapMean, mcnemar, mean, pairedBootstrap, wilson } from "@safedelta/evaluation";
import { studentQuantile } from "./studentT.ts";

/** A number with its 95 % interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** What the interval is over: prompts of one seed (Wilson's of a rate, bootstrap of a mean), or seeds (Student's t). */
  readonly over: "prompts" | "seeds";
}

/** Values of one metric for one seed, one a prompt; undefined where a judge could not be read. */
export type Values = readonly (number | undefined)[];

/** What a metric counts: yes or no, or a number. */
export type Kind = "rate" | "mean";

/** How a row differs from the one it is tested against. */
export interface Test extends Estimate {
  /** McNemar's exact p over the prompts of all seeds; of rates. */
  readonly p?: number;
}

/** Values of all seeds to one estimate: of one seed over its prompts, of several the mean of their means. Undefined without any. */
export function estimate(kind: Kind, seeds: readonly Values[]): Estimate | undefined {
  const read = seeds.map(known).filter((values) => values.length > 0);
  if (read.length === 0) return undefined;
  if (read.length > 1) return overSeeds(read.map(mean));
  if (kind === "mean") return named(bootstrapMean(read[0]));
  const { rate, low, high } = wilson(read[0].filter((value) => value === 1).length, read[0].length);
  return { value: rate, low, high, over: "prompts" };
}

/** b − a, pair by pair on the prompts that both could judge. Undefined without any. */
export function compare(kind: Kind, a: readonly Values[], b: readonly Values[]): Test | undefined {
  const seeds = a.map((values, s) => pairs(values, b[s] ?? [])).filter((list) => list.length > 0);
  if (seeds.length === 0) return undefined;
  const all = seeds.flat();
  const [ofA, ofB] = [all.map(([value]) => value), all.map(([, value]) => value)];
  const difference =
    seeds.length > 1
      ? overSeeds(seeds.map((list) => mean(list.map(([x, y]) => y - x))))
      : named(pairedBootstrap(ofA, ofB));
  if (kind === "mean") return difference;
  const isTrue = (value: number) => value === 1;
  return { ...difference, p: mcnemar(ofA.map(isTrue), ofB.map(isTrue)).p };
}

/** The mean of at least two numbers with Student's interval. */
export function overSeeds(values: readonly number[]): Estimate {
  const value = mean(values);
  const variance = values.reduce((sum, x) => sum + (x - value) ** 2, 0) / (values.length - 1);
  const half = studentQuantile(0.05, values.length - 1) * Math.sqrt(variance / values.length);
  return { value, low: value - half, high: value + half, over: "seeds" };
}

function named({ mean: value, low, high }: { mean: number; low: number; high: number }): Estimate {
  return { value, low, high, over: "prompts" };
}

function known(values: Values): number[] {
  return values.filter((value) => value !== undefined);
}

function pairs(a: Values, b: Values): [number, number][] {
  return a
    .map((value, i) => [value, b[i]])
    .filter((pair): pair is [number, number] => pair.every((value) => value !== undefined));
}
