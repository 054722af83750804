import type { Step } from "@safedelta/experiment";

/** What is wrong with a step, and which it is. */
export interface Fault {
  readonly where: string;
  readonly problem: string;
}

/** How a step is called in messages. */
export function placeOf({ title, command }: Step): string {
  return `${title}, ${command}`;
}

/** What a check throws. */
export async function faultOf(where: string, check: () => unknown): Promise<Fault[]> {
  try {
    await check();
    return [];
  } catch (error) {
    return [{ where, problem: (error as Error).message }];
  }
}

/** A line for each problem, with the first step that has it and how many others do. */
export function faultLines(faults: readonly Fault[]): string[] {
  const places = new Map<string, Set<string>>();
  for (const { where, problem } of faults) places.set(problem, (places.get(problem) ?? new Set()).add(where));
  return [...places].map(([problem, steps]) => {
    const [first] = steps;
    const more = steps.size - 1;
    return `${first}: ${problem}${more > 0 ? ` (and in ${more} more step${more > 1 ? "s" : ""})` : ""}`;
  });
}
