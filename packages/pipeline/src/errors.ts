import { CoreError } from "@safedelta/core";

/**
 * What went wrong, in the terms of the exit codes.
 * - `usage`: the options do not fit together. `incompatible`: a model, state or file cannot be used as asked.
 * - `resources`: too little memory or disk, found before the work. `failed`: everything else.
 */
export type PipelineErrorKind = "usage" | "incompatible" | "resources" | "failed";

/** An error of the whole process: says what, where, why and what to do next. */
export class PipelineError extends Error {
  override name = "PipelineError";
  constructor(
    readonly kind: PipelineErrorKind,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/**
 * Run one step of the method; what the method refuses (a budget that is no dial of the mode, NaN, a Hessian that is not
 * positive definite) is told with the place.
 * @throws PipelineError `usage` for budgets, `incompatible` for numbers
 */
export function at<T>(where: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    throw new PipelineError(error.code === "budget" ? "usage" : "incompatible", `${where}: ${error.message}`, error);
  }
}

/** Of two models that have little to do with each other every tensor is a problem. */
const mostTold = 20;

/**
 * One error that lists the problems found before the work began, the first of them where they are many.
 * @param next what to do, where the problems do not say it themselves
 */
export function problemsError(
  kind: PipelineErrorKind,
  title: string,
  problems: readonly string[],
  next?: string,
): PipelineError {
  const more = problems.length > mostTold ? [`… and ${problems.length - mostTold} more`] : [];
  const lines = [...problems.slice(0, mostTold), ...more].map((problem) => `  - ${problem}`);
  return new PipelineError(kind, [title, ...lines, ...(next === undefined ? [] : [next])].join("\n"));
}
