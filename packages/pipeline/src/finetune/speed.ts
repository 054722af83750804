import type { TrainingExample } from "@safedelta/training";
import { formatDuration } from "../sizes.ts";

/** How fast the updates of this run go, and how long the rest will take. */
export class Speed {
  private readonly started = performance.now();
  private nDone = 0;
  private readonly nTokens: number;

  /** @param updates the examples of each update to come */
  constructor(updates: readonly (readonly TrainingExample[])[]) {
    this.nTokens = updates.flat().reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** In words, after an update of so many tokens. */
  after(nTokens: number): string {
    this.nDone += nTokens;
    const seconds = (performance.now() - this.started) / 1000;
    const left = (seconds / this.nDone) * (this.nTokens - this.nDone);
    return `${Math.round(this.nDone / seconds)} tokens/s, ${formatDuration(left)} left`;
  }
}
