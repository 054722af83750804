import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget } from "./budget.ts";
import { strengthBy } from "./dial.ts";
import { type DampedHessian, factorInPlace, rootOf } from "./factor.ts";
import type { ColumnSquares, Filter, Losses } from "./filter.ts";
import { addToDiagonal, copyOf, difference, make, owning, quadratic } from "./matrix.ts";
import { lambdaSearch } from "./search.ts";
import type { TaskHessians } from "./task.ts";

/** D at one strength. */
interface Shrunken {
  readonly strength: number;
  readonly d: Matrix;
  readonly loss: number;
}

/**
 * D = Δ U (U + λH)⁻¹, U = I or with task data H_u: for each λ one reverse Cholesky and two triangular solves (n³/3 + 2 rows·n² flops), and
 * one triangular product for its safety loss. A wanted loss is sought among such λ.
 */
export class FilterByHessian implements Filter {
  readonly fullLoss: number;
  /** The last D, which the search that ended with it would else have computed in vain. */
  private last: Shrunken | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly delta: Matrix,
    private readonly factor: DampedHessian | TaskHessians,
    private readonly squares: ColumnSquares,
  ) {
    this.fullLoss = quadratic(engine, delta, factor.r, squares) / 2;
  }

  strengthFor(budget: Budget): number {
    const { unit } = this.factor;
    return strengthBy(budget, unit, (share) => {
      const search = lambdaSearch(this.fullLoss, share, unit);
      let step = search.next();
      while (!step.done) step = search.next(this.at(step.value * unit).loss);
      return step.value;
    });
  }

  lossesAt(strength: number): Losses {
    const { d, loss } = this.at(strength);
    const losses = { safetyLoss: loss, fullSafetyLoss: this.fullLoss };
    return "task" in this.factor ? { ...losses, taskGap: this.taskGapOf(d, this.factor.task) } : losses;
  }

  deltaAt(strength: number): Matrix {
    const { d } = this.at(strength);
    this.last = undefined; // it is the caller's now
    return d;
  }

  [Symbol.dispose](): void {
    this.last?.d[Symbol.dispose]();
    this.last = undefined;
  }

  private at(strength: number): Shrunken {
    if (this.last?.strength === strength) return this.last;
    this[Symbol.dispose]();
    this.last = owning(this.shrunken(strength), (d) => ({
      strength,
      d,
      loss: quadratic(this.engine, d, this.factor.r, this.squares) / 2,
    }));
    return this.last;
  }

  /** D, new. Both sides of the system are divided by 1 + strength, which keeps them in range whatever λ is. */
  private shrunken(strength: number): Matrix {
    const { engine, delta, factor } = this;
    if (strength === 0) return copyOf(engine, delta);
    if (strength === Number.POSITIVE_INFINITY) return engine.alloc(delta.rows, delta.cols);
    const share = 1 / (1 + strength);
    using root = make(engine, delta.cols, delta.cols, (m) => {
      engine.add((share * strength) / factor.unit, factor.h, m);
      if ("task" in factor) engine.add(share, factor.task, m);
      else addToDiagonal(engine, share, m);
      factorInPlace(engine, m);
    });
    return make(engine, delta.rows, delta.cols, (d) => {
      if ("task" in factor) engine.gemm(share, delta, false, factor.task, false, 0, d);
      else engine.add(share, delta, d);
      engine.trsm(d, root, true);
      engine.trsm(d, root, false);
    });
  }

  private taskGapOf(d: Matrix, task: Matrix): number {
    using left = difference(this.engine, d, this.delta);
    using root = rootOf(this.engine, task);
    return quadratic(this.engine, left, root, this.squares);
  }
}
