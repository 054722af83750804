import type { DefinedCommand } from "../command.ts";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { checkData } from "./checkData.ts";
import { missingFiles } from "./checkInputs.ts";
import { unpreparedModes } from "./checkStates.ts";
import { checkSteps } from "./checkSteps.ts";
import type { Draft } from "./draftFor.ts";
import { faultLines } from "./faults.ts";
import { requireOurs, whyAgain } from "./outFolder.ts";

/**
 * Look at everything that can be known before a step runs: its options, its data and files, and whether what stands in the folder counts.
 * @throws UsageError with all that is wrong; of a dry run what files hold, or that they are not there, is told alone
 */
export async function preflight(
  out: string,
  { plan, stamp }: Pick<Draft, "plan" | "stamp">,
  commands: Readonly<Record<string, DefinedCommand>>,
  { dryRun }: { readonly dryRun: boolean },
  io: Pick<Io, "progress">,
): Promise<void> {
  await requireOurs(out);
  await checkSteps(plan, commands);
  const unprepared = unpreparedModes(plan);
  if (unprepared.length > 0) throw new UsageError(faultLines(unprepared).join("\n"));
  const data = await checkData(plan, commands);
  const faults = faultLines([...(await missingFiles(plan, commands)), ...data.faults]);
  if (faults.length > 0 && !dryRun) throw new UsageError(faults.join("\n"));
  for (const text of [...faults, ...faultLines(data.warnings)]) io.progress.warn(text);
  for (const name of plan.unused) io.progress.warn(`make.${name}: nothing uses it, so it is not made`);
  const again = await whyAgain(out, stamp);
  if (again !== undefined) io.progress.warn(again);
}
