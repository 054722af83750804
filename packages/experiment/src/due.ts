import type { Step } from "./step.ts";

/** What stands on the disk of a step. */
export interface Standing {
  /** It has run to its end. */
  readonly isDone: boolean;
  /** What it made is there still: repaired models are dropped once they are measured. */
  readonly isThere: boolean;
}

/**
 * The steps that have to run: those that did not, unless only such need them as did; and those whose work is gone and needed.
 * @param steps by id, each after those that it needs
 * @param wanted ids of the steps whose results are asked for
 */
export function dueSteps(
  steps: ReadonlyMap<string, Step>,
  wanted: readonly string[],
  standing: ReadonlyMap<string, Standing>,
): Step[] {
  const due = new Set<string>();
  /** What the due steps need; those that need a step stand behind it, so they are known before it is looked at. */
  const needed = new Set<string>();
  const asked = new Set(wanted);
  for (const step of [...steps.values()].reverse()) {
    const { isDone = false, isThere = false } = standing.get(step.id) ?? {};
    const isDue = (asked.has(step.id) && !isDone) || (needed.has(step.id) && !(isDone && isThere));
    if (!isDue) continue;
    due.add(step.id);
    for (const id of step.needs) needed.add(id);
  }
  return [...steps.values()].filter(({ id }) => due.has(id));
}
