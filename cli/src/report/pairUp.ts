import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { isHarmful } from "@safedelta/data";
import { compareResults, sharedMetrics } from "@safedelta/evaluation";
import type { ComparisonReport, EvaluationInput, RepairReport, Role } from "@safedelta/report";
import type { Outputs, SavedEvaluation } from "./readOutputs.ts";

/** An evaluation as the report wants it, and as it was saved. */
interface Paired {
  readonly input: EvaluationInput;
  readonly saved: SavedEvaluation;
}

const order: readonly (Role | undefined)[] = ["aligned", "tuned", "repaired", undefined];

/** Tell which part each evaluated model has in the first repair: aligned and tuned by their hashes, repaired by its folder. */
export function pairUp({ repairs, evaluations }: Outputs): Paired[] {
  const paired = evaluations.map((saved) => ({ saved, input: inputOf(saved, roleOf(saved, repairs[0])) }));
  return paired.toSorted((a, b) => order.indexOf(a.input.role) - order.indexOf(b.input.role));
}

function roleOf(
  { results: { model } }: SavedEvaluation,
  repair: Outputs["repairs"][number] | undefined,
): Role | undefined {
  if (!repair || model.endpoint !== undefined) return undefined;
  const { aligned, tuned } = repair.report;
  if (model.sha256 === aligned.hash) return "aligned";
  if (model.sha256 === tuned.hash) return "tuned";
  return placeOf(ownPart(model.model, repair.report)) === placeOf(repair.folder) ? "repaired" : undefined;
}

/** The output itself in the spelling of a model: an adapter's stands behind the model that it belongs to. */
function ownPart(spelling: string, { outFormat }: RepairReport): string {
  return outFormat === "lora" ? (spelling.split("+").at(-1) ?? spelling) : spelling;
}

/** The path with its links followed, so that one folder has one name. */
function placeOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

function inputOf({ results, samples }: SavedEvaluation, role: Role | undefined): EvaluationInput {
  const { task, model, promptsSha256, prompts, metrics, overlap } = results;
  return {
    ...{ task, role, promptsSha256, prompts, metrics },
    model: model.endpoint === undefined ? model.model : `${model.model} at ${model.endpoint}`,
    harmful: knownHarmful(prompts),
    nOverlap: overlap?.count,
    // Metrics that look at the model itself need no answers.
    answers: samples.flatMap(({ answer, ...rest }) => (answer === undefined ? [] : [{ ...rest, answer }])),
  };
}

/** A name that no longer means anything could have been of a harmful set. */
function knownHarmful(prompts: string): boolean {
  try {
    return isHarmful(prompts);
  } catch {
    return true;
  }
}

/** The aligned and the tuned model against the repaired one, pair by pair, on every set of prompts that both answered. */
export function compareRoles(paired: readonly Paired[]): ComparisonReport[] {
  const repaired = paired.filter(({ input }) => input.role === "repaired");
  return (["aligned", "tuned"] as const).flatMap((role) =>
    paired
      .filter(({ input }) => input.role === role)
      .flatMap((from) => repaired.filter((to) => areAlike(from, to)).flatMap((to) => compareTwo(from, to))),
  );
}

function areAlike(
  { input: a, saved: { results: fromA, samples: ofA } }: Paired,
  { input: b, saved: { results: fromB, samples: ofB } }: Paired,
): boolean {
  return (
    sharedMetrics(fromA, fromB).length > 0 &&
    a.task === b.task &&
    a.promptsSha256 === b.promptsSha256 &&
    ofA.length === ofB.length
  );
}

function compareTwo(from: Paired, to: Paired): ComparisonReport[] {
  const { task, role = "" } = from.input;
  return compareResults(from.saved, to.saved).map(({ metric, difference, low, high, n, mcnemar }) => ({
    ...{ task, metric, from: role, to: "repaired", difference, low, high, n },
    p: mcnemar?.p,
  }));
}
