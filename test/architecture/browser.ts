import { type Source, specifiersOf } from "./imports.ts";

/** Imports that are gone when a file is compiled. */
const typeOnly = /^(import|export) type [^;]*;$/gm;

/** Comments are no code. */
const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

/**
 * A file and all of ours that it leads to when it runs.
 * @param read the text of a path from the root, undefined where there is no such file
 * @param target the file that a specifier means, undefined for packages that are not ours
 */
export function reachable(
  entry: string,
  read: (path: string) => string | undefined,
  target: (from: string, specifier: string) => string | undefined,
): Source[] {
  const found = new Map<string, Source>();
  for (const waiting = [entry]; waiting.length > 0; ) {
    const path = waiting.pop() as string;
    const text = read(path)?.replace(comments, "").replace(typeOnly, "");
    if (found.has(path) || text === undefined) continue;
    found.set(path, { path, text });
    waiting.push(
      ...specifiersOf({ path, text })
        .map((specifier) => target(path, specifier))
        .filter((next) => next !== undefined),
    );
  }
  return [...found.values()];
}

const globals = /(?<![\w.$"])(?:Bun|Buffer|process)\.\w+/g;

/** What a file uses that no browser has. */
export function serverOnly(source: Source): string[] {
  const modules = specifiersOf(source).filter((name) => /^(node:|bun(:|$))/.test(name));
  const names = source.text.replace(comments, "").match(globals) ?? [];
  return [...modules, ...names].map((what) => `${source.path}: ${what}`);
}
