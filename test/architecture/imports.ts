import { dirname, relative, resolve, sep } from "node:path";

/** One TypeScript file: its path from the root of the repository, with slashes, and its text. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

/** A package of ours: its short name, its folder from the root, and its workspace dependencies by short name. */
export interface Workspace {
  readonly name: string;
  readonly folder: string;
  readonly dependencies: readonly string[];
}

const scope = "@safedelta/";

/**
 * Every specifier of `import`, `import type`, `export … from`, `import("…")` (as a value or as a type) and `require("…")`.
 * Comments and strings are not told apart: what looks like an import there is reported too.
 */
const specifier = /\b(?:from|import|require)\s*\(?\s*(?:\/\*[\s\S]*?\*\/\s*)*(["'`])([^"'`\n$]+)\1/g;

/** `import(` of anything but a plain literal. */
const computedImport = /\bimport\s*\(\s*(?:\/\*[\s\S]*?\*\/\s*)*(?!["'`)\s/])|\bimport\s*\(\s*`[^`]*\$\{/;

export function specifiersOf({ text }: Source): string[] {
  return [...text.matchAll(specifier)].map((match) => match[2]);
}

/** Short names of our packages that the file imports. */
export function importedPackages(source: Source): string[] {
  const ours = specifiersOf(source).filter((name) => name.startsWith(scope));
  return [...new Set(ours.map((name) => name.slice(scope.length).split("/")[0]))];
}

/** Relative and absolute specifiers that lead out of the package's folder. */
function escapes(source: Source, folder: string): string[] {
  const paths = specifiersOf(source).filter((name) => /^(\.|\/|file:)/.test(name));
  return paths.filter((name) => {
    const target = name.startsWith(".") ? relative(resolve(folder), resolve(dirname(source.path), name)) : "..";
    return target.split(sep)[0] === "..";
  });
}

/** What one file does that the import table forbids; each a line for the developer. */
export function forbiddenImports(source: Source, { name, folder }: Workspace, allowed: readonly string[]): string[] {
  const packages = importedPackages(source).filter((imported) => imported !== name && !allowed.includes(imported));
  return [
    ...packages.map((imported) => `${source.path}: ${name} may not import ${scope}${imported}`),
    ...escapes(source, folder).map((path) => `${source.path}: "${path}" leaves ${folder}; import the package by name`),
    ...(computedImport.test(source.text) ? [`${source.path}: import() of a computed name cannot be checked`] : []),
  ];
}

/** Where package.json and the sources disagree: declared but not imported, or imported but not declared. */
export function undeclaredOrUnused(workspace: Workspace, sources: readonly Source[]): string[] {
  const used = new Set(sources.flatMap(importedPackages).filter((name) => name !== workspace.name));
  const declared = new Set(workspace.dependencies);
  const file = `${workspace.folder}/package.json`;
  return [
    ...[...used.difference(declared)].map((name) => `${file}: imports ${scope}${name} without declaring it`),
    ...[...declared.difference(used)].map((name) => `${file}: declares ${scope}${name} without importing it`),
  ];
}
