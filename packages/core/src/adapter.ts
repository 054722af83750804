import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget } from "./budget.ts";
import type { OptimalCurve } from "./curve.ts";
import type { Spectrum } from "./factor.ts";
import type { RepairNumbers } from "./numbers.ts";
import type { TaskSpectrum } from "./task.ts";

/** A low-rank delta Δ = B A: a is r x cols, b is rows x r (the adapter's scale already folded into one of them). */
export interface Adapter {
  readonly a: Matrix;
  readonly b: Matrix;
}

/** The curve of Δ = B A, from the factors alone (r·n² flops). @throws CoreError `shape`, `notFinite` */
export declare function adapterCurve(engine: Engine, adapter: Adapter, basis: Spectrum | TaskSpectrum): OptimalCurve;

/** A′ = A M (r x cols, new): B A′ is the repaired delta of `optimal` at this strength. @throws CoreError `shape` */
export declare function adapterProduct(
  engine: Engine,
  a: Matrix,
  basis: Spectrum | TaskSpectrum,
  strength: number,
): Matrix;

/** A′ for any budget of `optimal`, with the numbers of the merged repair. The caller disposes `a`. @throws CoreError */
export declare function repairAdapter(
  engine: Engine,
  adapter: Adapter,
  basis: Spectrum | TaskSpectrum,
  budget: Budget,
): { a: Matrix; numbers: RepairNumbers };
