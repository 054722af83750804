import type { Engine, Matrix } from "@safedelta/engine";
import type { Parameter } from "./parameters.ts";

/**
 * The gradients of one update, found by the weight they belong to; weights that are not trained have none. The first product of
 * an update overwrites what the last one left, so that large matrices need not be cleared.
 */
export class Gradients implements Disposable {
  private readonly byWeight: ReadonlyMap<Matrix, Matrix>;
  private readonly begun = new Set<Matrix>();
  /** Where the gradients of vectors that are not trained go, by their length. */
  private readonly unused = new Map<number, Matrix>();

  constructor(
    private readonly engine: Engine,
    private readonly parameters: readonly Parameter[],
  ) {
    this.byWeight = new Map(parameters.map(({ weight, gradient }) => [weight, gradient]));
  }

  /** Forget the last update's gradients. */
  clear(): void {
    this.begun.clear();
  }

  /** gradient of `weight` += dOutᵀ input, for out = input Wᵀ. */
  addProduct(weight: Matrix, dOut: Matrix, input: Matrix, factor = 1): void {
    const gradient = this.byWeight.get(weight);
    if (!gradient) return;
    this.engine.gemm(factor, dOut, true, input, false, this.begun.has(gradient) ? 1 : 0, gradient);
    this.begun.add(gradient);
  }

  /** The gradient, to be added to; undefined when the weight is not trained. */
  sum(weight: Matrix): Matrix | undefined {
    const gradient = this.byWeight.get(weight);
    if (gradient && !this.begun.has(gradient)) {
      this.engine.fill(gradient, 0);
      this.begun.add(gradient);
    }
    return gradient;
  }

  /** As `sum`, of a norm's weight; where that is not trained, a place that nobody reads. */
  sumOfNorm(weight: Matrix): Matrix {
    const known = this.sum(weight) ?? this.unused.get(weight.cols);
    if (known) return known;
    const made = this.engine.alloc(1, weight.cols);
    this.unused.set(weight.cols, made);
    return made;
  }

  [Symbol.dispose](): void {
    for (const matrix of this.unused.values()) matrix[Symbol.dispose]();
  }

  /** √Σ g² over all gradients, summed in f64. */
  norm(): number {
    let squares = 0;
    for (const { weight } of this.parameters) {
      const gradient = this.sum(weight) as Matrix;
      for (const value of this.engine.columnSquares(gradient)) squares += value;
    }
    return Math.sqrt(squares);
  }
}
