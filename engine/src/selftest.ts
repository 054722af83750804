import type { Engine, EngineInfo } from "./engine.ts";
import { checkOperations, type OperationCheck } from "./selftest/check.ts";
import { type FailedRate, measureRates, type Rate } from "./selftest/rates.ts";

export type { OperationCheck } from "./selftest/check.ts";
export type { FailedRate, Rate } from "./selftest/rates.ts";

/** What an engine is, whether it computes as the f64 reference does, and how fast. */
export interface SelfTest {
  readonly engine: EngineInfo;
  readonly checks: readonly OperationCheck[];
  readonly rates: readonly (Rate | FailedRate)[];
}

/**
 * Check and time an engine. What it fails in is part of the result.
 * @param open gives a new engine of one kind each time
 * @param n side of the matrices that are timed
 * @param note hears a line for each failed check, each checked operation's end, and each rate
 */
export async function selfTest(
  open: () => Promise<Engine>,
  n: number,
  note: (line: string) => void,
): Promise<SelfTest> {
  const engine = await infoOf(open);
  const checks = await checkOperations(open, ({ operation, n, error, allowed, ok, failure }) => {
    const why = failure ?? `error ${error.toExponential(1)}, allowed ${allowed.toExponential(1)}`;
    if (!ok) note(`FAILED ${operation} at ${n}: ${why}`);
  });
  note(`${checks.filter(({ ok }) => ok).length} of ${checks.length} operations and sizes agree with the f64 reference`);
  const rates = await measureRates(open, n, (one) => note(rateLine(one)));
  return { engine, checks, rates };
}

function rateLine(one: Rate | FailedRate): string {
  if ("failure" in one) return `FAILED ${one.operation}: ${one.failure}`;
  const { operation, shape, ms, rate, unit } = one;
  return `${operation} ${shape}: ${ms.toFixed(2)} ms, ${rate.toFixed(1)} ${unit}`;
}

async function infoOf(open: () => Promise<Engine>): Promise<EngineInfo> {
  using engine = await open();
  return engine.info;
}
