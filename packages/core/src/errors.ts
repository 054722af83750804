/** What went wrong, for callers that choose an exit code or a hint by it. */
export type CoreErrorCode = "shape" | "notFinite" | "notPositiveDefinite" | "budget" | "missingFactor" | "noDirection";

/** Wrong input to the method, or numbers that it cannot work with. The message says what, where and what to do next. */
export class CoreError extends Error {
  override name = "CoreError";
  constructor(
    readonly code: CoreErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
