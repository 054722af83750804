import type { Step } from "@safedelta/experiment";

/** How the steps of a run ended. */
export interface RunEnd {
  readonly failed: readonly Step[];
  /** Not begun, since what they need failed. */
  readonly skipped: readonly Step[];
}

/**
 * Run steps, each when those that it needs have run, `jobs` at a time. What needs a failed step is left out, the rest goes on.
 * @param run resolves to whether the step succeeded
 * @param isStopped asked before each start: once it is true, only what runs is waited for
 */
export async function runSteps(
  due: readonly Step[],
  jobs: number,
  run: (step: Step) => Promise<boolean>,
  isStopped: () => boolean,
): Promise<RunEnd> {
  const open = new Map(due.map((step) => [step.id, step]));
  const [failed, skipped]: [Step[], Step[]] = [[], []];
  const running = new Map<string, Promise<void>>();
  const lost = new Set<string>();
  const start = (step: Step) => {
    const end = run(step).then((isDone) => {
      running.delete(step.id);
      open.delete(step.id);
      if (isDone) return;
      failed.push(step);
      lost.add(step.id);
    });
    running.set(step.id, end);
  };
  while (open.size > 0) {
    for (const step of open.values()) {
      if (step.needs.some((id) => lost.has(id))) {
        open.delete(step.id);
        lost.add(step.id);
        skipped.push(step);
      }
      const isReady = open.has(step.id) && !running.has(step.id) && !step.needs.some((id) => open.has(id));
      if (isReady && running.size < jobs && !isStopped()) start(step);
    }
    if (running.size === 0) break;
    await Promise.race(running.values());
  }
  return { failed, skipped };
}
