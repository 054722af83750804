import { type Finished, type Gate, type MissedGate, parseGate } from "@safedelta/evaluation";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import type { EvalFlags } from "./flags.ts";

/** An evaluation, and what the user knows it by. */
export interface Side extends Finished {
  readonly named: string;
}

/** What --fail-if says of these metrics. @throws EvaluationError for a gate that is none, UsageError for one of a difference to nothing */
export function gatesOf({ failIf, against }: EvalFlags, metrics: readonly string[]): Gate[] {
  const gates = (failIf?.split(",") ?? []).map((text) => parseGate(text, metrics));
  const lacking = against === undefined && gates.find(({ of }) => of === "difference");
  if (lacking) throw new UsageError(`--fail-if ${lacking.text}: a difference needs --against results_TIME.json.`);
  return gates;
}

/** Tell of each gate that is missed, and give its text. @param sides the evaluation itself, then what it is held against */
export function tellMissed(missed: readonly MissedGate[], sides: readonly Side[], io: Io): string[] {
  for (const gate of missed) {
    const { text, found } = gate;
    const nothing = () => `${whyNothing(gate, sides)}, which counts as true`;
    io.progress.warn(`--fail-if ${text}: ${found === undefined ? nothing() : `it is ${Number(found.toPrecision(6))}`}`);
  }
  return missed.map(({ text }) => text);
}

/** Why a gate found no number. */
function whyNothing({ metric, of }: MissedGate, sides: readonly Side[]): string {
  const looked = of === "value" ? sides.slice(0, 1) : sides;
  const lacking = looked.find(({ results }) => results.metrics.every((one) => one.metric !== metric));
  if (lacking) return `${lacking.named} has no metric ${metric}`;
  return `nothing was ${of === "value" ? "judged" : "compared"}`;
}
