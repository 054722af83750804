/**
 * Why a model cannot be used: `unsupported` (we do not implement it), `incompatible` (its parts or the call contradict each
 * other), `missing` (something needed is not there), `notFinite` (it computed NaN or infinity).
 */
export type ModelErrorKind = "unsupported" | "incompatible" | "missing" | "notFinite";

/** A model that cannot be used, or wrong use of one. `problems` holds every reason found, each one sentence. */
export class ModelError extends Error {
  override name = "ModelError";
  constructor(
    readonly kind: ModelErrorKind,
    readonly problems: readonly string[],
  ) {
    super(problems.join("\n"));
  }
}
