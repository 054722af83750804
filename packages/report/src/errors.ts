/** Data that cannot be shown as asked: says which part of it and what is wrong. */
export class ReportError extends Error {
  override readonly name = "ReportError";
}
