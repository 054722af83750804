import type { Step } from "@safedelta/experiment";
import type { DefinedCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { missingFiles, unreadableData } from "./checkInputs.ts";
import { checkSteps } from "./checkSteps.ts";
import { faultLines } from "./faults.ts";
import { whyAgain } from "./outFolder.ts";
import type { PlannedFor } from "./planFor.ts";
import { whatIsDue } from "./runExperiment.ts";

/**
 * Everything that can be known before a step runs: its options, its data and files, and whether what stands in the folder counts.
 * @returns the steps to do @throws UsageError with all that is wrong; of a dry run what files hold, or that they are not there, is told alone
 */
export async function preflight(
  out: string,
  { plan, surroundings }: PlannedFor,
  commands: Readonly<Record<string, DefinedCommand>>,
  { dryRun }: { readonly dryRun: boolean },
  io: Pick<Io, "progress">,
): Promise<Step[]> {
  await checkSteps(plan, commands);
  const due = await whatIsDue(out, plan);
  const faults = faultLines([...(await missingFiles(plan, commands)), ...(await unreadableData(due, commands))]);
  if (faults.length > 0 && !dryRun) throw new UsageError(faults.join("\n"));
  for (const text of faults) io.progress.warn(text);
  const again = await whyAgain(out, surroundings);
  if (again !== undefined) io.progress.warn(again);
  return due;
}
