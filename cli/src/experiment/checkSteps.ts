import { checkSource, suggest } from "@safedelta/data";
import type { Plan, Step } from "@safedelta/experiment";
import type { z } from "zod";
import type { DefinedCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import { camel, kebab } from "../recipe.ts";
import { sourcesOf } from "./checkInputs.ts";
import { type Fault, faultLines, faultOf, placeOf } from "./faults.ts";
import { parsedStep } from "./parsedStep.ts";

/** Commands that a step may be: those that write something under --out and go on after an interruption. */
const stepCommands = ["finetune", "prepare", "apply", "eval", "data mix", "data answer", "data tiny"];

/** Flags that the experiment itself gives. */
const ownFlags = ["out", "overwrite", "dryRun", "json", "quiet", "verbose", "progress", "color", "recipe"];

/** Every fault of the steps' options, before anything runs. @throws UsageError naming steps and flags */
export async function checkSteps({ steps }: Plan, commands: Readonly<Record<string, DefinedCommand>>): Promise<void> {
  const faults = (await Promise.all([...steps.values()].map((step) => faultsOf(step, commands)))).flat();
  if (faults.length > 0) throw new UsageError(faultLines(faults).join("\n"));
}

async function faultsOf(step: Step, commands: Readonly<Record<string, DefinedCommand>>): Promise<Fault[]> {
  const where = placeOf(step);
  const told = (problems: readonly string[]) => problems.map((problem) => ({ where, problem }));
  if (!stepCommands.includes(step.command))
    return told([
      `no step can be "${step.command}".${suggest(step.command, stepCommands)} There are: ${stepCommands.join(", ")}.`,
    ]);
  const command = commands[step.command];
  const { schema } = command;
  const known = Object.keys(schema.shape).filter((name) => !ownFlags.includes(name));
  const unknown = Object.keys(step.options).filter((key) => !known.includes(camel(key)) || key !== kebab(camel(key)));
  if (unknown.length > 0)
    return told(unknown.map((key) => `unknown option "${key}".${suggest(key, known.map(kebab))}`));
  const { result, given } = parsedStep(step, command);
  if (!result.success)
    return told(result.error.issues.map(({ path, message }) => `${kebab(String(path[0]))}: ${message}`));
  const sources = await faultOf(where, () => sourcesOf(step, command).forEach(({ name }) => void checkSource(name)));
  return [...sources, ...(await faultOf(where, () => command.check(result.data, step.args, given)))];
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
