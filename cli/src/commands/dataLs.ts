import { type Dataset, datasets, suggest } from "@safedelta/data";
import { table } from "@safedelta/report";
import { defineCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";

/** `safedelta data ls [NAME]` */
export const dataLsCommand = defineCommand({
  brief: "List the data sets that are known by name",
  help: "With NAME, all that is known of one: files, columns, template, licence, and where that was read. Nothing is fetched.",
  args: ["NAME?"],
  options: {},
  async run(_options, [name], io) {
    const found = name === undefined ? undefined : datasetOf(name);
    io.document(found ?? datasets);
    io.print(found ? factsOf(found) : tableOf(datasets));
    return undefined;
  },
});

/** @throws UsageError naming those there are */
function datasetOf(name: string): Dataset {
  const found = datasets.find((dataset) => dataset.name === name);
  if (found !== undefined) return found;
  const known = datasets.map((dataset) => dataset.name);
  throw new UsageError(`no data set is called "${name}".${suggest(name, known)} There are: ${known.join(", ")}.`);
}

const originOf = ({ name, hub, parts }: Dataset) =>
  hub ?? (parts ? parts.map(({ dataset, n }) => `${n} ${dataset}`).join(" + ") : `your file: ${name}=FILE`);

function tableOf(sets: readonly Dataset[]): string {
  const rows = sets.map((set) => [set.name, Object.keys(set.splits).join(", "), originOf(set), set.purpose]);
  return table(["name", "splits", "from", "for"], rows, { align: ["left", "left", "left", "left"] });
}

function factsOf(set: Dataset): string {
  const splits = Object.entries(set.splits).map(([name, { files = [], where, harmful }]) => {
    const notes = [harmful && "harmful", where && `where ${pairs(where)}`].filter(Boolean).join("; ");
    return [`  ${name}`, [files.join(", "), notes && `(${notes})`].filter(Boolean).join(" ")] as const;
  });
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["name", set.name],
    ["for", set.purpose],
    ["from", originOf(set)],
    ["splits", ""],
    ...splits,
    ["columns", set.columns?.map(pairs).join(" or ")],
    ["request", set.request && JSON.stringify(set.request)],
    ["template", set.template],
    ["licence", set.licence],
    ["source", set.source],
    ["unverified", set.unverified],
  ];
  return facts
    .flatMap(([key, value]) => (value === undefined ? [] : `${key.padEnd(14)}  ${value}`.trimEnd()))
    .join("\n");
}

function pairs(mapping: Readonly<Record<string, string>>): string {
  return Object.entries(mapping)
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}
