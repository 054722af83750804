import type { Engine, Matrix } from "@safedelta/engine";
import { basisOf, directionsOf } from "./basis.ts";
import { CoreError } from "./errors.ts";
import { type PreparedGroup, rootOf } from "./factor.ts";
import { type Kept, keptMask } from "./kept.ts";
import { columnsOf, copyOf, difference, product, quadratic, squaredNorm, sum } from "./matrix.ts";
import type { RepairNumbers, UnstoredNumbers } from "./numbers.ts";
import { inverseLoss } from "./prefix.ts";
import type { Weights } from "./repair.ts";
import type { TaskFactor } from "./task.ts";

/**
 * The numbers of a repair after its weight was rounded to its storage type: rounding adds to the safety loss, and where the
 * fine-tuning was gentle it can exceed the budget, so that what is reported must be what was written. Budget and dial stay; kept entries count where they hold in the written bits.
 * @param written the rounded weight, rows x cols, widened to f32 again
 * @param prepared the group's state with the factor that the repair used
 * @param task when the repair used task data
 */
export function numbersAsWritten(
  engine: Engine,
  { kept, ...numbers }: UnstoredNumbers,
  { aligned, tuned }: Weights,
  written: Matrix,
  prepared: PreparedGroup,
  task?: TaskFactor,
): RepairNumbers {
  using change = difference(engine, written, aligned);
  using gap = difference(engine, written, tuned);
  const safetyLoss = safetyLossOf(engine, change, prepared);
  return {
    ...numbers,
    keptShare: kept.blocks.length === 0 ? 0 : shareOf(keptAsWritten(engine, kept, written, tuned)),
    safetyLoss,
    safetyLossShare: numbers.fullSafetyLoss === 0 ? 0 : safetyLoss / numbers.fullSafetyLoss,
    utilityGap: squaredNorm(engine, gap),
    deltaNorm: Math.sqrt(squaredNorm(engine, change)),
    ...(task ? { taskGap: taskGapOf(engine, gap, task) } : {}),
  };
}

/** Share of ones. */
function shareOf(mask: Uint8Array): number {
  let nHeld = 0;
  for (let i = 0; i < mask.length; i++) nHeld += mask[i];
  return nHeld / mask.length;
}

/** Rows that are compared at once. */
const panelRows = 256;

/**
 * The mask of the kept entries that equal the tuned weight bit for bit in what was written; row-major, rows·cols bytes of 0 or 1.
 * @param written the rounded weight, rows x cols, widened to f32 again; so is `tuned`
 */
export function keptAsWritten(engine: Engine, kept: Kept, written: Matrix, tuned: Matrix): Uint8Array {
  const mask = keptMask(kept);
  if (kept.blocks.length === 0) return mask;
  for (let row = 0; row < kept.rows; row += panelRows) {
    const nRows = Math.min(panelRows, kept.rows - row);
    const [found, wanted] = [written, tuned].map((m) => engine.read(m.view(row, 0, nRows, kept.cols)));
    found.forEach((value, i) => {
      if (!Object.is(value, wanted[i])) mask[row * kept.cols + i] = 0;
    });
  }
  return mask;
}

/** ½ tr(D H Dᵀ) for any D, with whichever factor of H is at hand. */
export function safetyLossOf(
  engine: Engine,
  d: Matrix,
  { spectrum, hessian, inverse, ordered }: PreparedGroup,
): number {
  if (spectrum) return alongDirections(engine, d, spectrum.vectors, basisOf(spectrum).curvatures);
  if (hessian) return quadratic(engine, d, hessian.r) / 2;
  if (inverse) {
    using whitened = copyOf(engine, d);
    return inverseLoss(engine, whitened, inverse);
  }
  if (!ordered) throw new CoreError("missingFactor", "The state holds no factor of this group: prepare again.");
  using permuted = columnsOf(engine, d, ordered.order);
  return quadratic(engine, permuted, ordered.r) / 2;
}

function taskGapOf(engine: Engine, gap: Matrix, task: TaskFactor): number {
  if ("r" in task) {
    using root = rootOf(engine, task.task);
    return quadratic(engine, gap, root);
  }
  return 2 * alongDirections(engine, gap, directionsOf(task).forward, task.ratios);
}

/** ½ Σ_j curvature_j · ‖(D · directions)_j‖². */
function alongDirections(engine: Engine, d: Matrix, directions: Matrix, curvatures: Float64Array): number {
  using turned = product(engine, d, directions);
  return sum(engine.columnSquares(turned).map((square, j) => square * curvatures[j])) / 2;
}
