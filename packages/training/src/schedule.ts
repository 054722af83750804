/** How the learning rate changes after the warm-up. */
export type ScheduleName = "constant" | "linear" | "cosine";

export interface Schedule {
  readonly name: ScheduleName;
  /** The rate after the warm-up. */
  readonly peak: number;
  /** Updates over which the rate rises from 0. */
  readonly nWarmup: number;
  readonly nUpdates: number;
  /** After each so many updates, an epoch, the rate is multiplied by the factor once more. */
  readonly decay?: { readonly factor: number; readonly nUpdates: number };
}

/**
 * The learning rate of update i (from 0): in the warm-up peak · i/nWarmup, then constant, linear to 0, or half a cosine to 0; all of it times
 * factor^(whole epochs before). Sources: Hugging Face transformers, `optimization.py`, get_{constant,linear,cosine}_schedule_with_warmup;
 * PyTorch's StepLR, stepped once an epoch.
 */
export function rateAt(schedule: Schedule, i: number): number {
  const { factor = 1, nUpdates = 1 } = schedule.decay ?? {};
  return warmedRate(schedule, i) * factor ** Math.floor(i / nUpdates);
}

function warmedRate({ name, peak, nWarmup, nUpdates }: Schedule, i: number): number {
  if (i < nWarmup) return peak * (i / Math.max(1, nWarmup));
  if (name === "constant") return peak;
  const length = Math.max(1, nUpdates - nWarmup);
  if (name === "linear") return peak * Math.max(0, (nUpdates - i) / length);
  return peak * Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (i - nWarmup)) / length)));
}
