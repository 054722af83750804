import {
  type Comparison,
  compareResults,
  missedGates,
  readResults,
  unlikeMetrics,
  unsharedMetrics,
} from "@safedelta/evaluation";
import { required } from "../command.ts";
import { exitCode, UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { speechOptions } from "../options.ts";
import { type GivenOption, ownOption } from "../recipe.ts";
import type { EvalFlags } from "./flags.ts";
import { gatesOf, type Side, tellMissed } from "./gates.ts";
import { comparisonTable } from "./tables.ts";

/** Two evaluations that are there, without any model. @throws UsageError for what has no place beside --compare */
export async function compareFinished(
  options: EvalFlags,
  spec: string | undefined,
  given: ReadonlyMap<string, GivenOption>,
  io: Io,
): Promise<number | undefined> {
  const allowed = ["compare", "against", "failIf", ...Object.keys(speechOptions)];
  const others = [...given.keys()].filter((name) => !allowed.includes(name) && ownOption(given, name));
  const idle = spec ?? given.get(others[0])?.where;
  if (idle !== undefined)
    throw new UsageError(`${idle}: without effect beside --compare, which takes --against and --fail-if alone.`);
  const [against, compare] = [required(options.against, "--against"), required(options.compare, "--compare")];
  const before = { ...(await readResults(against)), named: `--against ${against}` };
  const after = { ...(await readResults(compare)), named: `--compare ${compare}` };
  const { metrics } = after.results;
  const names = [...metrics.map(({ metric }) => metric), ...unsharedMetrics(before.results, after.results)];
  const gates = gatesOf(options, names);
  const comparison = compareTold(before, after, io);
  io.print(comparisonTable(comparison));
  const failed = tellMissed(missedGates(gates, metrics, comparison), [after, before], io);
  io.document({ against, compare, comparison, failed });
  return failed.length > 0 ? exitCode.gateMissed : undefined;
}

/** What both evaluations share, pair by pair; what rests on other things, or only one has, is told. @throws EvaluationError as `compareResults` */
export function compareTold(a: Side, b: Side, io: Io): Comparison[] {
  const comparisons = compareResults(a, b);
  for (const { metric, why } of unlikeMetrics(a.results, b.results))
    io.progress.warn(`${metric} is not compared, since its values rest on different things: ${why}`);
  const alone = [...aloneIn(a, b), ...aloneIn(b, a)];
  if (alone.length > 0) io.progress.warn(`not compared, since only one side has them: ${alone.join("; ")}`);
  return comparisons;
}

function aloneIn(side: Side, other: Side): string[] {
  const names = unsharedMetrics(side.results, other.results);
  return names.length === 0 ? [] : [`${names.join(", ")} (${side.named})`];
}
