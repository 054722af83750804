import { suggest } from "@safedelta/data";
import { parseDocument } from "yaml";
import type { z } from "zod";
import { ExperimentError } from "./errors.ts";
import { type Recipe, recipeSchema } from "./recipe.ts";

/**
 * Read a recipe from the text of a YAML file. @param words what is wrong with a value, to stand behind its place
 * @throws ExperimentError with every fault and its place; of an unknown key the known one that is near
 */
export function parseRecipe(path: string, text: string, words: z.core.$ZodErrorMap): Recipe {
  const document = parseDocument(text, { merge: true });
  const [broken] = document.errors;
  if (broken) throw new ExperimentError(`${path}: ${broken.message.split("\n")[0].replace(/:$/, ".")}`);
  const result = recipeSchema.safeParse(document.toJS(), { error: words });
  if (result.success) return result.data;
  throw new ExperimentError(result.error.issues.flatMap((issue) => linesOf(path, issue)).join("\n"));
}

function linesOf(path: string, issue: z.core.$ZodIssue): string[] {
  const place = issue.path.join(".");
  if (issue.code !== "unrecognized_keys") return [`${path}: ${place === "" ? "the recipe" : place}: ${issue.message}`];
  const known = keysAt(issue.path);
  return issue.keys.map((key) => {
    const inside = place === "" ? "" : ` in ${place}`;
    return `${path}: unknown key "${key}"${inside}.${suggest(key, known)}`;
  });
}

/** The keys that are known at a place of the recipe. */
function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: unknown = recipeSchema;
  for (const key of path) {
    const inner = unwrapped(schema) as { shape?: Record<PropertyKey, unknown>; valueType?: unknown };
    schema = inner.shape?.[key] ?? inner.valueType;
  }
  return Object.keys((unwrapped(schema) as { shape?: object }).shape ?? {});
}

/** A schema without the default or optional around it. */
function unwrapped(schema: unknown): unknown {
  let inner = schema as { def?: { innerType?: unknown } };
  while (inner?.def?.innerType !== undefined) inner = inner.def.innerType as typeof inner;
  return inner;
}
