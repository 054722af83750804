/** An evaluation that cannot be carried out as asked: says what was asked, of which example or argument, and what is wrong. */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
}
