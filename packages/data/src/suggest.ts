/** ` Did you mean "…"?` when one of `known` is at most two edits away, of a long name three, else "". */
export function suggest(name: string, known: readonly string[], prefix = ""): string {
  const near = known.map((k) => ({ k, d: distance(name.toLowerCase(), k.toLowerCase()) })).sort((a, b) => a.d - b.d)[0];
  return near !== undefined && near.d <= (name.length > 8 ? 3 : 2) ? ` ${prefix}Did you mean "${near.k}"?` : "";
}

/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
