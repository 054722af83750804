import { existsSync } from "node:fs";
import { type Example, loadSource, localFiles, mixExamples, type SourceAccess } from "@safedelta/data";
import type { Plan, Step } from "@safedelta/experiment";
import type { DefinedCommand } from "../command.ts";
import type { EvalFlags } from "../eval/flags.ts";
import { requestOf } from "../eval/requestOf.ts";
import { promptsOf, requireJudgeable } from "../eval/runEval.ts";
import { fewerThanAsked } from "../words.ts";
import { type Commands, isMade, type StepSource, sourcesOf } from "./checkInputs.ts";
import { type Fault, faultOf, placeOf } from "./faults.ts";
import { parsedStep } from "./parsedStep.ts";

/**
 * Data of this machine that cannot be read, or that a step cannot use as they are; with warnings of those that hold less than is wished.
 * What a step makes or the Hub holds is left for later. The steps were checked.
 */
export async function checkData({ steps }: Plan, commands: Commands): Promise<Record<"faults" | "warnings", Fault[]>> {
  const read = reader();
  const [faults, warnings]: [Fault[], Fault[]] = [[], []];
  for (const step of steps.values())
    for (const source of sourcesOf(step, commands[step.command])) {
      if (!localFiles(source.name).every((file) => !isMade(file, step) && existsSync(file))) continue;
      const look = async () => {
        const examples = await read(source);
        if (examples === undefined) return;
        if (source.n !== undefined) mixExamples([{ ...source, examples }], 0);
        if (step.command === "eval" && source.option === "prompts")
          await checkPrompts(step, commands[step.command], examples);
        const fewer = tooFew(step, source, examples.length);
        if (fewer) warnings.push({ where: placeOf(step), problem: fewer });
      };
      faults.push(...(await faultOf(placeOf(step), look)));
    }
  return { faults, warnings };
}

/** Reads each source once; undefined of what is not on this machine. */
function reader(): (source: StepSource) => Promise<readonly Example[] | undefined> {
  const known = new Map<string, Promise<readonly Example[] | undefined>>();
  return ({ name, needsAnswers }) => {
    const key = JSON.stringify([name, needsAnswers === true]);
    const found = known.get(key) ?? readHere(name, needsAnswers);
    known.set(key, found);
    return found;
  };
}

async function readHere(name: string, needsAnswers: boolean | undefined): Promise<readonly Example[] | undefined> {
  try {
    return await loadSource(name, here, { seed: 0, needsAnswers });
  } catch (error) {
    if (error instanceof ElsewhereError) return undefined;
    throw error;
  }
}

/** @throws what eval would throw of its prompts */
async function checkPrompts(step: Step, command: DefinedCommand, examples: readonly Example[]): Promise<void> {
  const { result, given } = parsedStep(step, command);
  const options = result.data as EvalFlags;
  const { wanted } = await requestOf(options, step.args[0], given);
  requireJudgeable(wanted, promptsOf(examples, options));
}

function tooFew({ options }: Step, { name, drawnBy }: StepSource, nAvailable: number): string | undefined {
  const wished = drawnBy === undefined ? undefined : options[drawnBy];
  return wished === undefined ? undefined : fewerThanAsked(name, nAvailable, String(drawnBy), Number(wished));
}

/** A file of the Hub is asked for. */
class ElsewhereError extends Error {}

/** What a step warns of, it says itself. */
const here: SourceAccess = {
  locate: () => Promise.reject(new ElsewhereError()),
  warn: () => {},
};
