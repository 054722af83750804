export * from "./adapter.ts";
export * from "./budget.ts";
export { type Curve, type ExactCurve, exactCurve, type OptimalCurve, optimalCurve } from "./curve.ts";
export { solvePool } from "./dial.ts";
export * from "./errors.ts";
export {
  type DampedHessian,
  dampedHessian,
  dampedHessianOf,
  type InverseFactor,
  inverseFactor,
  inverseFactorOf,
  type OptimalFactor,
  type OrderedFactor,
  optimalFactorOf,
  orderedFactor,
  orderedFactorOf,
  type PreparedGroup,
  type Spectrum,
  spectrum,
  spectrumOf,
} from "./factor.ts";
export { type Losses, optimalLosses } from "./filter.ts";
export * from "./hessian.ts";
export * from "./kept.ts";
export { difference, make, owning } from "./matrix.ts";
export { type BlockSpending, numbersAt, type RepairNumbers, type UnstoredNumbers } from "./numbers.ts";
export { projectDelta } from "./project.ts";
export { type Repair, repair, type Weights } from "./repair.ts";
export { checkRival, type Rival, type RivalWeights, repairByRival } from "./rival.ts";
export { lambdaSearch, lossTolerance } from "./search.ts";
export { type TaskFactor, taskFactor, taskRepair } from "./task.ts";
export { keptAsWritten, numbersAsWritten } from "./written.ts";
