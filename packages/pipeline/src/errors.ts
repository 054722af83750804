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
  ) {
    super(message);
  }
}

/** One error that lists every problem found before the work began. */
export function problemsError(kind: PipelineErrorKind, title: string, problems: readonly string[]): PipelineError {
  return new PipelineError(kind, `${title}\n${problems.map((problem) => `  - ${problem}`).join("\n")}`);
}
