/** What went wrong instead of an answer. */
export interface Failed {
  readonly failure: string;
}

/** What `run` gives, or what it threw: a self-test goes on and tells it, since what else fails is worth knowing. */
export async function attempt<T extends object>(run: () => T | Promise<T>): Promise<T | Failed> {
  try {
    return await run();
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
}
