/** `text` as inline code, whatever backticks it holds; line breaks become blanks (CommonMark 6.1). */
export function code(text: string): string {
  const fence = fenceFor(text, 1);
  const content = text.replace(/\s/g, " ");
  return fence.length === 1 ? `\`${content}\`` : `${fence} ${content} ${fence}`;
}

/** `text` as a fenced block of code. */
export function codeBlock(text: string, language: string): string {
  const fence = fenceFor(text, 3);
  return [`${fence}${language}`, text, fence].join("\n");
}

/** A table (GitHub's extension), first column left, the others right; cells are plain text and escaped as such. */
export function markdownTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = columns.map((_, col) => (col === 0 ? "---" : "---:"));
  return [columns.map(plain), rule, ...rows.map((row) => row.map(plain))]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");
}

function plain(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_<>|[\]]/g, "\\$&");
}

function fenceFor(text: string, least: number): string {
  const longest = Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  return "`".repeat(longest === 0 ? least : Math.max(least, longest + 1));
}
