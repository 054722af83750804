/**
 * Everything there is to say about one repair, as plain data: the source of the model card and of safedelta.json.
 * It holds no times and nothing of the machine, so an interrupted and an uninterrupted run describe themselves in the same bytes.
 */
export interface RepairReport {
  readonly toolVersion: string;
  /** The command line that makes the same model again. */
  readonly command: string;
  /** Every option of the run, defaults included, as a recipe: keys are those of the command line. */
  readonly recipe: Readonly<Record<string, string | number>>;
  /** A whole model, or a repaired LoRA adapter of the aligned one. */
  readonly outFormat: "model" | "lora";
  /** Of Safe Delta. */
  readonly mode?: "optimal" | "exact" | "reference" | "paper" | "none";
  readonly budget?: ReportBudget;
  /** In the place of both: another method. */
  readonly rival?: RivalReport;
  readonly aligned: ModelSource;
  readonly tuned: ModelSource;
  /** The unaligned or the harmful model, of the rivals that have one; with task data the model that they went through, where it was none of the pair. */
  readonly third?: ModelSource;
  /** The prepared state, when one was given. */
  /** Damping: the share of the mean diagonal that was added to each Hessian's diagonal; reports of earlier versions have none, which was 0.01. */
  readonly state?: { readonly hash: string; readonly damping?: number };
  readonly safeData: DataSource;
  /** Task data of the utility-aware form of `optimal`. */
  readonly taskData?: DataSource;
  readonly engine: { readonly name: string; readonly version: string; readonly description: string };
  /** Whose embeddings, norms, lm_head and other untouched tensors the output has. */
  readonly rest: "aligned" | "tuned";
  /** Storage type of the repaired weights, as safetensors spells it. */
  readonly dtype: string;
  readonly layers: readonly LayerReport[];
  /** `totalsOf` all linears. */
  readonly totals: Totals;
  /** SPDX-like identifier of the aligned model's licence, when it states one. */
  readonly licence?: string;
  /** SHA-256 of the bytes of each written tensor, by name: what `verify` checks. */
  readonly tensors: Readonly<Record<string, string>>;
  /** SHA-256 of each other file of the output but safedelta.json itself, by name. */
  readonly files: Readonly<Record<string, string>>;
  /** What was measured of the repaired model's behaviour, when it was. */
  readonly evaluation?: readonly EvaluationRow[];
}

/** The dial as the command line spells it. */
export interface ReportBudget {
  readonly kind: "loss" | "global-loss" | "strength" | "keep" | "scale";
  readonly value: number;
}

/** A rival with its dials; the seed where it draws. */
export interface RivalReport {
  readonly method: "safe-lora" | "resta" | "wise-ft" | "negation" | "random-mask" | "dare";
  readonly [dial: string]: string | number;
}

/** A model as the user named it, and the hash of its weights. */
export interface ModelSource {
  readonly spec: string;
  /** What it may be called in public: its Hub id, or the base name of a local folder. The Hub refuses paths. */
  readonly name: string;
  readonly hash: string;
}

/** A data set as the user named it, its hash, and the sample drawn from it. */
export interface DataSource {
  readonly source: string;
  readonly hash: string;
  readonly nExamples: number;
  readonly nTokens: number;
  readonly seed: number;
  /** Tokens at the start of each example that were left out; of the state's data also how often the key tokens count. Absent where none, and once. */
  readonly nSkipped?: number;
  readonly keyWeight?: number;
}

/** One transformer block. */
export interface LayerReport {
  readonly layer: number;
  readonly linears: readonly LinearReport[];
}

/** One repaired linear, rows x cols; D = repaired − aligned, Δ = tuned − aligned, H the damped Hessian. */
export interface LinearReport {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  /** Share of entries that take the tuned weight unchanged. */
  readonly keptShare: number;
  /** ½ tr(D H Dᵀ). */
  readonly safetyLoss: number;
  /** safetyLoss / fullSafetyLoss. */
  readonly safetyLossShare: number;
  /** ½ tr(Δ H Δᵀ). */
  readonly fullSafetyLoss: number;
  /** ‖D − Δ‖². */
  readonly utilityGap: number;
  /** tr((D − Δ) H_u (D − Δ)ᵀ), with task data. */
  readonly taskGap?: number;
  /** ‖D‖. */
  readonly deltaNorm: number;
  /** ‖Δ‖. */
  readonly tunedDeltaNorm: number;
  /** λ in units of 1/mean(diag H) (`optimal`); Infinity is the aligned model. */
  readonly strength?: number;
  /** The paper's s (`reference`, `paper`, `none`). */
  readonly scale?: number;
  /** Share of columns kept (`exact`). */
  readonly keep?: number;
  /** cos(C Δ, Δ) of the projection (`safe-lora`). */
  readonly cosine?: number;
  /** The limit in force: a safety loss (`exact`, `optimal`), or the sum of the blocks' limits (the other modes). A rival has none: what it spends. */
  readonly budget: number;
  /** `reference`, `paper`, `none`: limit and spending of each block of columns. */
  readonly blocks?: readonly { readonly limit: number; readonly spent: number }[];
}

/** Several linears taken together. */
export interface Totals {
  readonly nLinears: number;
  readonly nWeights: number;
  readonly keptShare: number;
  readonly safetyLoss: number;
  readonly safetyLossShare: number;
  readonly fullSafetyLoss: number;
  readonly utilityGap: number;
  readonly deltaNorm: number;
  readonly tunedDeltaNorm: number;
  readonly budget: number;
  /** What was spent of `budget`, in its units. */
  readonly spent: number;
}

/** One measured rate of one model. */
export interface EvaluationRow {
  readonly task: string;
  readonly metric: string;
  readonly model: string;
  readonly rate: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

/** Linears taken together: losses add, norms add in squares, kept shares are weighted by size; 0/0 is 0 (nothing was changed). */
export function totalsOf(linears: readonly LinearReport[]): Totals {
  const sum = (value: (linear: LinearReport) => number) => linears.reduce((total, linear) => total + value(linear), 0);
  const nWeights = sum((l) => l.rows * l.cols);
  const safetyLoss = sum((l) => l.safetyLoss);
  const fullSafetyLoss = sum((l) => l.fullSafetyLoss);
  return {
    nLinears: linears.length,
    nWeights,
    keptShare: ratio(
      sum((l) => l.keptShare * l.rows * l.cols),
      nWeights,
    ),
    safetyLoss,
    safetyLossShare: ratio(safetyLoss, fullSafetyLoss),
    fullSafetyLoss,
    utilityGap: sum((l) => l.utilityGap),
    deltaNorm: Math.sqrt(sum((l) => l.deltaNorm ** 2)),
    tunedDeltaNorm: Math.sqrt(sum((l) => l.tunedDeltaNorm ** 2)),
    budget: sum((l) => l.budget),
    spent: sum(spentOf),
  };
}

/** What a linear spent, in the units of its `budget`. */
function spentOf({ blocks, safetyLoss }: LinearReport): number {
  return blocks ? blocks.reduce((total, { spent }) => total + spent, 0) : safetyLoss;
}

/** part / whole, and 0 of nothing. */
export function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
