import { UsageError } from "./exitCode.ts";

/** The regular expression of a flag, by the rules of `u`. @throws UsageError for one that is none */
export function patternOf(text: string, flag = "--pattern"): RegExp {
  try {
    return new RegExp(text, "u");
  } catch (error) {
    throw new UsageError(`${flag}: ${(error as Error).message}.`);
  }
}
