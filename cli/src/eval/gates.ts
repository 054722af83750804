import { type Gate, type MissedGate, parseGate } from "@safedelta/evaluation";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import type { EvalFlags } from "./flags.ts";

/** What --fail-if says of these metrics. @throws EvaluationError for a gate that is none, UsageError for one of a difference to nothing */
export function gatesOf({ failIf, against }: EvalFlags, metrics: readonly string[]): Gate[] {
  const gates = (failIf?.split(",") ?? []).map((text) => parseGate(text, metrics));
  const lacking = against === undefined && gates.find(({ of }) => of === "difference");
  if (lacking) throw new UsageError(`--fail-if ${lacking.text}: a difference needs --against results_TIME.json.`);
  return gates;
}

/** Tell of each gate that is missed, and give its text. */
export function tellMissed(missed: readonly MissedGate[], io: Io): string[] {
  for (const { text, of, found } of missed) {
    const nothing = `nothing was ${of === "value" ? "judged" : "compared"}, which counts as true`;
    io.progress.warn(`--fail-if ${text}: ${found === undefined ? nothing : `it is ${Number(found.toPrecision(6))}`}`);
  }
  return missed.map(({ text }) => text);
}
