/** A command of ours as the README spells it, so that it can be typed. */
export function ownCommand(words: readonly string[]): string {
  return `bun run safedelta ${shellLine(words)}`;
}

/** Words as one line for a shell: what it would not take as it is stands in quotes. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
