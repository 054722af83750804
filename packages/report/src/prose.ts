/** A spot in a text that stands as somebody typed it: a name, a flag, a hash. */
export interface Verbatim {
  readonly verbatim: string;
}

/** Words of ours with verbatim spots among them, for Markdown, HTML and terminals alike; each writes the spots its own way. */
export type Prose = readonly (string | Verbatim)[];

export function verbatim(text: string): Verbatim {
  return { verbatim: text };
}

/** A template whose values are words, verbatim spots or prose again. */
export function prose(strings: TemplateStringsArray, ...values: readonly (string | Verbatim | Prose)[]): Prose {
  return strings.flatMap((text, i) => [text, ...partsOf(values[i])]).filter((part) => part !== "");
}

function partsOf(value: string | Verbatim | Prose | undefined): Prose {
  if (value === undefined) return [];
  return typeof value === "string" || "verbatim" in value ? [value] : value;
}

/** Prose as one text; `mark` writes the verbatim spots. */
export function written(parts: Prose, mark: (text: string) => string): string {
  return parts.map((part) => (typeof part === "string" ? part : mark(part.verbatim))).join("");
}
