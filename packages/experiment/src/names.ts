import { suggest } from "@safedelta/data";
import { ExperimentError } from "./errors.ts";
import type { Recipe } from "./recipe.ts";
import type { Row } from "./rows.ts";

/** Values as the words of a command line. */
export function textsOf(values: Readonly<Record<string, string | number>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

/**
 * The recipe's variables, the given ones over its own.
 * @throws ExperimentError for variables that are not the recipe's, and those that nobody gave
 */
export function variablesOf({ set }: Recipe, given: Readonly<Record<string, string>>): Record<string, string> {
  const known = Object.keys(set);
  for (const name of Object.keys(given))
    if (!known.includes(name))
      throw new ExperimentError(
        `--set ${name}: the recipe has no such variable.${suggest(name, known)} Known: ${known.join(", ") || "none"}.`,
      );
  const open = known.filter((name) => set[name] === null && given[name] === undefined);
  if (open.length > 0)
    throw new ExperimentError(
      `The recipe leaves open: ${open.join(", ")}. Give ${open.map((name) => `--set ${name}=…`).join(" ")}`,
    );
  const own = Object.entries(set).flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]));
  return { ...textsOf(Object.fromEntries(own)), ...given };
}

/**
 * @param given values of variables, in which others may be named
 * @throws ExperimentError for variables, of the recipe or of a case, that are named nowhere: another value would change nothing
 */
export function requireUsed(recipe: Recipe, given: Readonly<Record<string, string>>): void {
  const texts = JSON.stringify([recipe, given]);
  const used = new Set([...texts.matchAll(/\$\{([^}]*)\}/g)].map(([, name]) => name));
  const ofCases = Object.entries(recipe.cases).flatMap(([name, own]) =>
    Object.keys(own).map((variable) => [`cases.${name}`, variable] as const),
  );
  const all = [...Object.keys(recipe.set).map((variable) => ["set", variable] as const), ...ofCases];
  const unused = all.filter(([, variable]) => !used.has(variable));
  if (unused.length === 0) return;
  const lines = unused.map(
    ([place, name]) =>
      `${place}.${name}: named nowhere, so it has no effect. Write \${${name}} where it belongs, or leave it out.`,
  );
  throw new ExperimentError(lines.join("\n"));
}

/** @throws ExperimentError for seeds that are none, and one that stands twice: it would count as two */
export function requireSeeds(seeds: readonly number[]): void {
  const wrong = seeds.find((seed) => !Number.isSafeInteger(seed) || seed < 0);
  if (wrong !== undefined) throw new ExperimentError(`seeds: must be whole numbers from 0, but one is ${wrong}.`);
  const twice = seeds.find((seed, i) => seeds.indexOf(seed) !== i);
  if (twice !== undefined) throw new ExperimentError(`seeds: ${twice} stands twice. Give each seed once.`);
}

/** @throws ExperimentError for names that stand for two things, rows that stand twice, and cases and rows that are not there */
export function requireNames(recipe: Recipe, variables: Readonly<Record<string, string>>, rows: readonly Row[]): void {
  const taken = [
    ...Object.keys(variables),
    ...Object.values(recipe.cases).flatMap((own) => Object.keys(own)),
    "seed",
    "case",
  ];
  for (const name of Object.keys(recipe.make))
    if (taken.includes(name))
      throw new ExperimentError(`make.${name}: "${name}" is a variable, too. Choose another name.`);
  const groups = { make: recipe.make, methods: recipe.methods, evaluations: recipe.evaluations };
  for (const [group, entries] of Object.entries(groups))
    for (const [name, { cases = [] }] of Object.entries(entries as Record<string, { cases?: string[] }>))
      for (const word of cases) requireKnown(word, Object.keys(recipe.cases), `${group}.${name}: no case is called`);
  const labels = rows.map(({ label }) => label);
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (twice !== undefined)
    throw new ExperimentError(`methods: the row "${twice}" stands twice. Give each setting once.`);
  if (recipe.against !== undefined) requireKnown(recipe.against, labels, "against: no row is called");
  if (recipe.best !== undefined) requireKnown(recipe.best.of, labels, "best.of: no row is called");
  requireFigures(recipe, labels);
}

/** @throws ExperimentError for published figures of what the recipe does not have */
function requireFigures({ paper, cases, evaluations }: Recipe, labels: readonly string[]): void {
  for (const [name, rows] of Object.entries(paper?.figures ?? {})) {
    requireKnown(name, Object.keys(cases), "paper.figures: no case is called");
    for (const [row, figures] of Object.entries(rows)) {
      requireKnown(row, labels, `paper.figures.${name}: no row is called`);
      for (const column of Object.keys(figures))
        requireKnown(
          Object.keys(evaluations).find((word) => column === word || column.startsWith(`${word} `)) ?? column,
          Object.keys(evaluations),
          `paper.figures.${name}.${row}: no evaluation is called`,
        );
    }
  }
}

function requireKnown(word: string, known: readonly string[], what: string): void {
  if (known.includes(word)) return;
  throw new ExperimentError(`${what} "${word}".${suggest(word, known)} There are: ${known.join(", ")}.`);
}
