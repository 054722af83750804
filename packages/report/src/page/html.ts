import { type Prose, written } from "../prose.ts";
import { visible } from "./visible.ts";

/** Markup that holds nothing unescaped: what `html` makes, and texts of ours. */
export class Markup {
  constructor(readonly text: string) {}
}

/** What may stand in a template; text is escaped, lists are joined, nothing is left out for undefined. */
export type Part = Markup | string | number | undefined | readonly Part[];

/** A piece of a page. Every value is escaped, for text and for quoted attributes alike, unless `html` made it. */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(strings.map((text, i) => text + (i < values.length ? markupOf(values[i]) : "")).join(""));
}

function markupOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.text;
  return typeof part === "object" ? part.map(markupOf).join("") : escaped(String(part));
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text for markup and for quoted attributes; what could not be seen is spelled out. */
export function escaped(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => entities[character]);
}

/** Prose with its verbatim spots as code. */
export function proseMarkup(parts: Prose): Part {
  return parts.map((part) => (typeof part === "string" ? part : html`<code>${part.verbatim}</code>`));
}

/** Prose as plain text. */
export function plainText(parts: Prose): string {
  return written(parts, (text) => text);
}

/**
 * A document for a script element of a type that does not run: no `<` in it, so nothing can close the element or open a comment. What is
 * spelled out there, JSON reads back.
 */
export function jsonMarkup(value: unknown): Markup {
  return new Markup(visible(JSON.stringify(value)).replaceAll("<", "\\u003c"));
}
