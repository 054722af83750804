/** Stops of the slider: 0 leaves the fine-tuning as it is, 100 takes all of it back. */
export const strengthStep = 2;
export const mostStrength = 100;

/** The budget of a strength: which share of the fine-tuning's safety loss may stay. Finer where little may. */
export function shareOf(strength: number): number {
  return (1 - strength / mostStrength) ** 2;
}

/** The prepared sweep: the shares of all stops, in the slider's order. */
export const sweptShares: readonly number[] = Array.from({ length: mostStrength / strengthStep + 1 }, (_, i) =>
  shareOf(i * strengthStep),
);

/** The nearest stop. */
export function toStop(strength: number): number {
  const bounded = Math.min(mostStrength, Math.max(0, strength));
  return Math.round(bounded / strengthStep) * strengthStep;
}

/** A share as people read it. */
export function percent(share: number): string {
  const value = 100 * share;
  return `${Math.abs(value) >= 10 || value === 0 ? Math.round(value) : Number(value.toPrecision(1))} %`.replace(
    "-",
    "−",
  );
}
