import { DataError } from "./errors.ts";
import type { Row } from "./rows.ts";

/** A record and where it stands, for errors. */
export interface Place extends Row {
  readonly file: string;
}

export function fail({ file, line }: Place, problem: string): DataError {
  return new DataError(file, line, problem);
}

/** What a value is, in words. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "missing";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
