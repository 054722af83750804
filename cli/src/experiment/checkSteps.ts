import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { localFiles, parseSource, suggest } from "@safedelta/data";
import type { Plan, Step } from "@safedelta/experiment";
import type { z } from "zod";
import type { DefinedCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { plainWords } from "../plainWords.ts";
import { camel, kebab } from "../recipe.ts";

/** Commands that a step may be: those that write something under --out and go on after an interruption. */
const stepCommands = ["finetune", "prepare", "apply", "eval", "data mix", "data answer", "data tiny"];

/** Flags that the experiment itself gives. */
const ownFlags = ["out", "overwrite", "dryRun", "json", "quiet", "verbose", "progress", "color", "recipe"];

/** Every fault of the steps' options, before anything runs. @throws UsageError naming steps and flags */
export async function checkSteps({ steps }: Plan, commands: Readonly<Record<string, DefinedCommand>>): Promise<void> {
  const faults = (await Promise.all([...steps.values()].map((step) => faultsOf(step, commands)))).flat();
  if (faults.length > 0) throw new UsageError([...new Set(faults)].join("\n"));
}

async function faultsOf(step: Step, commands: Readonly<Record<string, DefinedCommand>>): Promise<string[]> {
  const where = `${step.title}, ${step.command}`;
  if (!stepCommands.includes(step.command))
    return [
      `${where}: no step can be "${step.command}".${suggest(step.command, stepCommands)} There are: ${stepCommands.join(", ")}.`,
    ];
  const { schema } = commands[step.command];
  const known = Object.keys(schema.shape).filter((name) => !ownFlags.includes(name));
  const unknown = Object.keys(step.options).filter((key) => !known.includes(camel(key)) || key !== kebab(camel(key)));
  if (unknown.length > 0)
    return unknown.map((key) => `${where}: unknown option "${key}".${suggest(key, known.map(kebab))}`);
  const values = Object.fromEntries(Object.entries(step.options).map(([key, value]) => [camel(key), value]));
  const result = schema.safeParse({ ...values, out: step.artefact }, { error: plainWords });
  if (!result.success)
    return result.error.issues.map(({ path, message }) => `${where}: ${kebab(String(path[0]))}: ${message}`);
  const given = new Map(Object.keys(values).map((name) => [name, { where: `--${kebab(name)}`, rank: 2 }]));
  const check = () => commands[step.command].check(result.data, step.args, given);
  const sources = await Promise.all(sourcesOf(step).map((source) => faultOf(where, () => parseSource(source))));
  return [...sources.flat(), ...(await faultOf(where, check))];
}

/** Data files that are not there and that no step makes, each with the first step that reads it. */
export function missingFiles({ steps }: Plan): string[] {
  const missing = new Map<string, string>();
  for (const step of steps.values()) {
    const isMade = (file: string) => file.startsWith(`${dirname(step.artefact)}/`);
    for (const file of sourcesOf(step).flatMap(localFiles))
      if (!isMade(file) && !existsSync(file) && !missing.has(file)) missing.set(file, `${step.title}, ${step.command}`);
  }
  return [...missing].map(([file, where]) => `${where}: ${file}: there is no such file.`);
}

/** What a check throws, with where. */
async function faultOf(where: string, check: () => unknown): Promise<string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    return [`${where}: ${(error as Error).message}`];
  }
}

/** Options that name data. */
const sourceOptions = ["prompts", "data", "safe-data", "task-data", "mix-safe"];

/** The data sources of a step, as they are spelled. */
function sourcesOf({ command, args, options }: Step): string[] {
  const named = sourceOptions.map((key) => options[key]).filter((value) => typeof value === "string");
  return [...named, ...(command === "data mix" ? args.map((word) => word.replace(/:\d+$/, "")) : [])];
}

/** The flags of the experiment that a command has, too. */
export function surroundingFlags(
  schema: z.ZodObject,
  given: Readonly<Record<string, string | number | boolean | undefined>>,
): string[] {
  const own = Object.entries(given).filter(
    ([name, value]) => name in schema.shape && value !== undefined && value !== false,
  );
  return own.flatMap(([name, value]) => (value === true ? [`--${kebab(name)}`] : [`--${kebab(name)}`, String(value)]));
}
