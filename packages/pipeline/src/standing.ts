import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { PipelineError } from "./errors.ts";
import { guardFile, removeQuietly, stableJson } from "./files.ts";
import { differences, fingerprintOf, holds, type PrepareJob } from "./job.ts";
import type { Progress } from "./progress.ts";
import { checkPieces, openState, type State } from "./state.ts";
import { findStanding, jobFile, publishState, type Standing, workOf, writeDurably } from "./workFolder.ts";

/** Where a state goes. */
interface Place {
  readonly out: string;
  readonly overwrite: boolean;
}

/**
 * The whole state of this very job, or of one for more modes, its pieces checked; undefined when it is still to be made.
 * @throws PipelineError `incompatible` when it is damaged and may not be made again
 */
export async function findWhole(place: Place, wanted: PrepareJob, progress: Progress): Promise<State | undefined> {
  const { out, overwrite } = place;
  const before = await findStanding(out);
  const isOurs = before.job === fingerprintOf(wanted);
  if (isOurs && (before.state === undefined || overwrite)) await publishState(out);
  const whole = await checkedWhole(place, await findStanding(out), wanted, progress);
  if (whole && (before.job === undefined || isOurs)) await removeQuietly(workOf(out));
  return whole;
}

/**
 * Look, and write nothing, at what a prepare of this job would find.
 * @returns whether the state is there already, whole
 * @throws PipelineError as that prepare before its work
 */
export async function isThere(place: Place, wanted: PrepareJob, progress: Progress): Promise<boolean> {
  const standing = await findStanding(place.out);
  if (await checkedWhole(place, standing, wanted, progress)) return true;
  requireReplaceable(place, standing, wanted);
  return false;
}

/**
 * Begin, or go on with, a job in a state's work folder.
 * @param nLayers in all, for those who watch
 * @throws PipelineError `usage` when something else stands there and may not be replaced
 */
export async function claimWork(place: Place, wanted: PrepareJob, nLayers: number): Promise<void> {
  const standing = await findStanding(place.out);
  requireReplaceable(place, standing, wanted);
  if (standing.job === fingerprintOf(wanted)) return;
  const work = workOf(place.out);
  await removeQuietly(work);
  await guardFile(place.out, () => mkdir(work, { recursive: true }));
  await writeDurably(join(work, jobFile), stableJson({ ...wanted, nLayers }));
}

/** @throws PipelineError `usage` when a state or unfinished work of another job stands there and may not be replaced */
function requireReplaceable({ out, overwrite }: Place, { state, job }: Standing, wanted: PrepareJob): void {
  if (overwrite) return;
  const next = "Choose another --out, or add --overwrite.";
  if (state !== undefined) {
    const what = state === "damaged" ? "that is damaged or of a former format" : `of ${differences(state, wanted)}`;
    throw new PipelineError("usage", `${out}: holds a state ${what}. ${next}`);
  }
  if (job !== undefined && job !== fingerprintOf(wanted))
    throw new PipelineError("usage", `${out}: holds the unfinished state of another prepare. ${next}`);
}

async function checkedWhole(
  { out, overwrite }: Place,
  { state }: Standing,
  wanted: PrepareJob,
  progress: Progress,
): Promise<State | undefined> {
  if (state === undefined || state === "damaged" || !holds(state, wanted)) return undefined;
  try {
    const whole = await openState(out);
    await checkPieces(whole, progress);
    return whole;
  } catch (error) {
    if (overwrite) return undefined;
    const reason = error instanceof Error ? error.message : String(error);
    const next = reason.includes("--overwrite") ? "" : " Run prepare again with --overwrite.";
    throw new PipelineError("incompatible", `${reason}${next}`, error);
  }
}
