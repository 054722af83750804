/** What a block of columns was allowed and what it spent, in the units of the official code (Δ²/U_jj², no factor 1/2). */
export interface BlockSpending {
  readonly limit: number;
  readonly spent: number;
}

/** What one repair did. H is the damped Hessian, Δ = tuned − aligned, D = repaired − aligned; sums are taken in f64. */
export interface RepairNumbers {
  /** Entries that take the tuned weight unchanged, as a share of all (in `optimal` 0, or 1 when nothing is taken back). */
  readonly keptShare: number;
  /** ½ tr(D H Dᵀ). */
  readonly safetyLoss: number;
  /** safetyLoss / fullSafetyLoss (0 when Δ is zero). */
  readonly safetyLossShare: number;
  /** ½ tr(Δ H Δᵀ). */
  readonly fullSafetyLoss: number;
  /** ‖D − Δ‖². */
  readonly utilityGap: number;
  /** tr((D − Δ) H_u (D − Δ)ᵀ), only with task data. */
  readonly taskGap?: number;
  /** ‖D‖ (Frobenius). */
  readonly deltaNorm: number;
  /** ‖Δ‖ (Frobenius). */
  readonly tunedDeltaNorm: number;
  /**
   * The limit that was in force: a safety loss in `exact` and `optimal` (of a `strength` or a `keep`: what it spends); in the
   * other modes the sum of the blocks' limits, in the units of `BlockSpending`.
   */
  readonly budget: number;
  /** `optimal`: λ in units of 1/mean(diag H); Infinity is the aligned model. */
  readonly strength?: number;
  /** `exact`: share of columns kept. */
  readonly keep?: number;
  /** `reference`, `none`, `paper`: the paper's s (when a loss was asked for: the s that was found). */
  readonly scale?: number;
  /** `reference`, `none`, `paper`: limit and spending of each block of columns. */
  readonly blocks?: readonly BlockSpending[];
}
