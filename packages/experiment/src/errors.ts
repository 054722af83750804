/** A recipe that cannot be planned, or results that do not belong to it; the text names the place. */
export class ExperimentError extends Error {
  override name = "ExperimentError";
}
