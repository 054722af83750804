import { suggest } from "@safedelta/data";
import { ExperimentError } from "./errors.ts";
import type { Method, Recipe, Scalar } from "./recipe.ts";

/** One row of the table: a method at one setting. */
export interface Row {
  /** Of the method. */
  readonly name: string;
  readonly label: string;
  /** Flags of its apply; none where the model stands as it is. */
  readonly options: Readonly<Record<string, Scalar>>;
  /** Whether it is one of several settings of a method. */
  readonly inGrid: boolean;
}

/** Every row: of a method with lists of values, one for each combination, the last key moving fastest. */
export function rowsOf(methods: Recipe["methods"]): Row[] {
  return Object.entries(methods).flatMap(([name, { apply = {} }]: [string, Method]) => {
    const varied = Object.keys(apply).filter((key) => Array.isArray(apply[key]));
    return combinations(Object.entries(apply)).map((options) => {
      const setting = varied.map((key) => `${key} ${options[key]}`);
      return { name, label: [name, ...setting].join(" "), options, inGrid: varied.length > 0 };
    });
  });
}

/** The rows of the named methods, and those that others are held against. @throws ExperimentError for a method that is not there */
export function wantedRows(
  { methods, against, best }: Recipe,
  rows: readonly Row[],
  names: readonly string[] = Object.keys(methods),
): Row[] {
  const known = Object.keys(methods);
  const strange = names.find((name) => !known.includes(name));
  if (strange !== undefined)
    throw new ExperimentError(
      `--methods: the recipe has no method "${strange}".${suggest(strange, known)} There are: ${known.join(", ")}.`,
    );
  return rows.filter(({ name, label }) => names.includes(name) || label === against || label === best?.of);
}

function combinations(entries: readonly (readonly [string, Scalar | Scalar[]])[]): Record<string, Scalar>[] {
  return entries.reduce<Record<string, Scalar>[]>(
    (rows, [key, values]) => rows.flatMap((row) => [values].flat().map((value) => ({ ...row, [key]: value }))),
    [{}],
  );
}
