/** A model, template or library that cannot become what web-llm reads; `problems` are told one a line. */
export class MlcError extends Error {
  override readonly name = "MlcError";

  constructor(readonly problems: readonly string[]) {
    super(problems.join("\n"));
  }
}
