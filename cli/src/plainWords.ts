import { suggest } from "@safedelta/data";
import type { z } from "zod";

/** Names of what a value may have to be, by zod's names. */
const kinds: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  record: "a table",
  object: "a table",
};

/** What is wrong with a value, to stand behind its name; undefined leaves it to zod. */
export function plainWords(issue: z.core.$ZodRawIssue): string | undefined {
  const found = issue.input === undefined ? "missing" : JSON.stringify(issue.input);
  switch (issue.code) {
    case "invalid_key":
      return issue.issues[0]?.message;
    case "too_small":
      if (Array.isArray(issue.input))
        return `must have ${issue.minimum} or more entries, but has ${issue.input.length}`;
      return `must be ${issue.minimum} or more, but is ${found}`;
    case "too_big":
      return `must be ${issue.maximum} or less, but is ${found}`;
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}, but is ${found}`;
    case "invalid_type":
      return `must be ${kinds[issue.expected] ?? issue.expected}, but is ${found}`;
    case "invalid_union":
      return `cannot be ${found}`;
    case "invalid_value":
      return `must be one of ${issue.values.join(", ")}, but is ${found}.${suggest(String(issue.input), issue.values.map(String))}`;
    default:
      return undefined;
  }
}
