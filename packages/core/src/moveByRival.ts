import type { Engine, Matrix } from "@safedelta/engine";
import { CoreError } from "./errors.ts";
import { type Kept, keptColumns } from "./kept.ts";
import { checkFinite, checkShape, copyOf, difference, make, owning } from "./matrix.ts";
import { projectDelta } from "./project.ts";
import { dropAndRescale, keepAtRandom } from "./randomMask.ts";
import type { Rival, RivalWeights } from "./rival.ts";

/** What a rival makes of a linear. The caller disposes the weight. */
interface Moved {
  readonly weight: Matrix;
  /** What takes the tuned weight bit for bit by the method, not by chance. */
  readonly kept: Kept;
  readonly cosine?: number;
}

/** The weight of one linear by a rival whose dials are checked. @throws CoreError `shape`, `notFinite`, `noDirection` */
export function moveByRival(engine: Engine, rival: Rival, weights: RivalWeights, random: () => number): Moved {
  switch (rival.method) {
    case "safe-lora":
      return bySafeLora(engine, rival.threshold, weights);
    case "resta":
      return byResta(engine, rival.gamma, rival.drop, weights, random);
    case "wise-ft":
      return byWiseFt(engine, rival.alpha, weights);
    case "negation":
      return byNegation(engine, rival.weight, weights);
    case "random-mask":
      return byRandomMask(engine, rival.keep, weights, random);
    case "dare":
      return byDare(engine, rival.drop, weights, random);
  }
}

function bySafeLora(engine: Engine, threshold: number, weights: RivalWeights): Moved {
  const { aligned } = weights;
  const { projected, cosine } = projectDelta(engine, weights, thirdOf(engine, "safe-lora", weights));
  using change = projected;
  if (cosine > threshold) return { ...tunedOf(engine, weights), cosine };
  return { ...changed(copyOf(engine, aligned, (w) => engine.add(1, change, w))), cosine };
}

function byResta(engine: Engine, gamma: number, drop: number, weights: RivalWeights, random: () => number): Moved {
  const { aligned, tuned } = weights;
  const third = thirdOf(engine, "resta", weights);
  if (drop === 0 && gamma === 0) return tunedOf(engine, weights);
  using safety = difference(engine, aligned, third);
  const start = drop === 0 ? copyOf(engine, tuned) : dropAndRescale(engine, weights, drop, random);
  return owning(start, () => {
    engine.add(gamma, safety, start);
    return changed(start);
  });
}

/** The ends are the models themselves, down to the sign of a zero. */
function byWiseFt(engine: Engine, alpha: number, weights: RivalWeights): Moved {
  const { aligned, tuned } = weights;
  if (alpha === 1) return tunedOf(engine, weights);
  if (alpha === 0) return changed(copyOf(engine, aligned));
  const mixed = make(engine, aligned.rows, aligned.cols, (out) => {
    engine.add(1 - alpha, aligned, out);
    engine.add(alpha, tuned, out);
  });
  return changed(mixed);
}

function byNegation(engine: Engine, weight: number, weights: RivalWeights): Moved {
  const third = thirdOf(engine, "negation", weights);
  if (weight === 0) return tunedOf(engine, weights);
  using harm = difference(engine, third, weights.aligned);
  return changed(copyOf(engine, weights.tuned, (w) => engine.add(-weight, harm, w)));
}

function byRandomMask(engine: Engine, keep: number, weights: RivalWeights, random: () => number): Moved {
  return keep === 1 ? tunedOf(engine, weights) : keepAtRandom(engine, weights, keep, random);
}

function byDare(engine: Engine, drop: number, weights: RivalWeights, random: () => number): Moved {
  return drop === 0 ? tunedOf(engine, weights) : changed(dropAndRescale(engine, weights, drop, random));
}

function tunedOf(engine: Engine, { tuned }: RivalWeights): Moved {
  const all = Int32Array.from({ length: tuned.cols }, (_, j) => j);
  return { weight: copyOf(engine, tuned), kept: keptColumns(tuned.rows, tuned.cols, all) };
}

/** A weight that takes nothing from the tuned one as it is. */
function changed(weight: Matrix): Moved {
  return { weight, kept: keptColumns(weight.rows, weight.cols, new Int32Array()) };
}

/** @throws CoreError `shape` when there is none or of another size, `notFinite` */
function thirdOf(engine: Engine, method: Rival["method"], { aligned, third }: RivalWeights): Matrix {
  if (!third) throw new CoreError("shape", `${method} needs the weight of a third model.`);
  checkShape("The third model's weight", third, aligned.rows, aligned.cols);
  checkFinite(engine, "The third model's weight", third);
  return third;
}
