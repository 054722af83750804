import { type Mapping, systemPrompts } from "@safedelta/data";
import { UsageError } from "./exitCode.ts";
import { computeOptions, option } from "./options.ts";

const templates = ["official", ...(Object.keys(systemPrompts) as (keyof typeof systemPrompts)[])] as const;

/** How the sources of a data command are read. */
export const sourceOptions = {
  columns: option.words({ brief: "columns of a file, by our names", placeholder: "prompt=goal,…" }),
  header: option.words({ brief: "column names of a CSV file without a header", placeholder: "a,b,…" }),
  where: option.words({ brief: "only the records with these values", placeholder: "label=safe,…" }),
  template: option.choice(templates, "official", "system prompt: of the official code for a named data set, or"),
  offline: computeOptions.offline,
};

/** The flags for `loadSource`. @throws UsageError for a pair without "=" */
export function readingOf({ columns, header, where }: { columns?: string; header?: string; where?: string }) {
  const told = { columns: pairsOf("--columns", columns), header: header?.split(","), where: pairsOf("--where", where) };
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
}

function pairsOf(flag: string, text: string | undefined): Mapping | undefined {
  const pairs = text?.split(",").map((pair) => {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
    if (name !== undefined && value !== undefined) return [name.trim(), value.trim()] as const;
    throw new UsageError(`${flag}: "${pair}" must be NAME=VALUE.`);
  });
  return pairs && Object.fromEntries(pairs);
}
