/** What a model card's header can hold. */
export type FrontMatter = Readonly<Record<string, string | readonly string[] | undefined>>;

/**
 * The YAML block at the head of a model card (huggingface.co/docs/hub/model-cards), delimiters included. Absent values are left
 * out. Every string is double-quoted, so that "no", "1e3" or "a: b" stay strings in YAML 1.1 and 1.2 alike.
 */
export function frontMatter(fields: FrontMatter): string {
  const lines = Object.entries(fields).flatMap(([key, value]) => {
    if (value === undefined) return [];
    return typeof value === "string"
      ? [`${key}: ${quoted(value)}`]
      : [`${key}:`, ...value.map((v) => `  - ${quoted(v)}`)];
  });
  return ["---", ...lines, "---"].join("\n");
}

/** JSON strings are YAML double-quoted scalars; what YAML 1.1 breaks lines at or forbids raw is escaped on top. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\p{Cc}\p{Zl}\p{Zp}\ufeff\ufffe\uffff]/gu, unicodeEscape);
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
