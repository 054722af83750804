/**
 * How far below the wanted safety loss a search may end, as a share of it: above the rounding of a loss in f32 (3e-6, with task
 * data 2e-5 were the most seen), so that this leads no search astray, and far below what rounding a repaired weight to 16 bits does to it.
 */
export const lossTolerance = 1e-4;

/** Beyond this √(full/loss) − 1 what is left of a delta is rounding: the wanted loss counts as zero. */
const reach = 2 ** 60;
/** The factor between two λ while one end of the bracket is open. */
const stride = 16;
/** After so many steps only the bracket is trusted. */
const patience = 12;
/** A bracket as narrow as this is one λ in f32. */
const resolution = 2 ** -23;

/** One evaluation. */
interface Point {
  readonly lambda: number;
  /** √(full/loss) − 1. */
  readonly excess: number;
}

/**
 * Seek the least λ with a safety loss of at most `share` of the full one; the loss there is within `lossTolerance` of that. Yields
 * the λ to evaluate, is answered with the loss there, and returns λ: 0 for the full share (or nothing to lose), Infinity for none.
 *
 * h(λ) = √(full/loss) − 1 is λσ for a single eigenvalue σ. For any spectrum log h against log λ rises with a slope of 1 at both ends
 * and little less between, so the secant rule on it needs few steps, for every share; a bracket guards it.
 * @param full safety loss at λ = 0
 * @param unit curvature of the usual size: were all eigenvalues that, the first λ would be the answer
 */
export function* lambdaSearch(full: number, share: number, unit: number): Generator<number, number, number> {
  if (share === 0) return Number.POSITIVE_INFINITY;
  if (share === 1 || full === 0) return 0;
  const limit = share * full;
  const wanted = excessOf(full, limit * (1 - lossTolerance / 2));
  if (wanted > reach) return Number.POSITIVE_INFINITY;
  let [low, high] = [0, Number.POSITIVE_INFINITY];
  let before: Point | undefined;
  let lambda = wanted / unit;
  for (let step = 1; ; step++) {
    const loss = yield lambda;
    if (loss > limit) low = lambda;
    else high = lambda;
    if (high * (1 - resolution) <= low || (loss <= limit && loss >= limit * (1 - lossTolerance))) return high;
    const point = { lambda, excess: excessOf(full, loss) };
    const guess = step < patience ? secant(before, point, wanted) : Number.NaN;
    lambda = low < guess && guess < high ? guess : between(low, high);
    before = point;
  }
}

function excessOf(full: number, loss: number): number {
  return Math.sqrt(full / loss) - 1;
}

/** Where the line through both points (one point: of slope 1) is at `wanted`; NaN where there is no such line. */
function secant(before: Point | undefined, point: Point, wanted: number): number {
  const slope = before ? Math.log(point.excess / before.excess) / Math.log(point.lambda / before.lambda) : 1;
  return slope > 0 ? point.lambda * (wanted / point.excess) ** (1 / slope) : Number.NaN;
}

function between(low: number, high: number): number {
  if (high === Number.POSITIVE_INFINITY) return low * stride;
  return low === 0 ? high / stride : Math.sqrt(low * high);
}
