import { shellLine } from "@safedelta/pipeline";
import { ownLine } from "../words.ts";

const nColumns = 80;
const goesOn = " \\";

/**
 * A command of ours on lines of at most 80 columns, indented, which a POSIX shell takes back as one command. Lines end before
 * options only, so a long path makes a long line.
 */
export function wrapCommand(words: readonly string[], bun?: string): string {
  const [head, ...options] = withValues(words);
  const lines = [`  ${ownLine(head, bun)}`];
  for (const option of options.map(shellLine)) {
    const longer = `${lines[lines.length - 1]} ${option}`;
    if (longer.length + goesOn.length <= nColumns) lines[lines.length - 1] = longer;
    else lines.push(`    ${option}`);
  }
  return lines.join(`${goesOn}\n`);
}

/** The words before the first option, then each option with its value. */
function withValues(words: readonly string[]): string[][] {
  const groups: string[][] = [[]];
  for (const word of words) {
    if (word.startsWith("--")) groups.push([word]);
    else groups[groups.length - 1].push(word);
  }
  return groups;
}
