import type { Step } from "@safedelta/experiment";
import type { DefinedCommand } from "../command.ts";
import { plainWords } from "../plainWords.ts";
import { camel, type GivenOption, kebab, ranks } from "../recipe.ts";

/** The options of a step as its command reads them, and which of them the recipe has. */
export function parsedStep({ options, artefact }: Step, { schema }: DefinedCommand) {
  const values = Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value]));
  const result = schema.safeParse({ ...values, out: artefact }, { error: plainWords });
  const given = new Map<string, GivenOption>(
    Object.keys(values).map((name) => [name, { where: `--${kebab(name)}`, rank: ranks.flag }]),
  );
  return { result, given };
}
