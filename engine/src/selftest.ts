import type { Engine, EngineInfo } from "./engine.ts";
import { checkOperations, type OperationCheck } from "./selftest/check.ts";
import { measureRates, type Rate } from "./selftest/rates.ts";

export type { OperationCheck } from "./selftest/check.ts";
export type { Rate } from "./selftest/rates.ts";

/** What an engine is, whether it computes as the f64 reference does, and how fast. */
export interface SelfTest {
  readonly engine: EngineInfo;
  readonly checks: readonly OperationCheck[];
  readonly rates: readonly Rate[];
}

/**
 * Check and time an engine.
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
  const checks = await checkOperations(open, ({ operation, n, error, allowed, ok }) => {
    if (!ok) note(`FAILED ${operation} at ${n}: error ${error.toExponential(1)}, allowed ${allowed.toExponential(1)}`);
  });
  note(`${checks.filter(({ ok }) => ok).length} of ${checks.length} operations and sizes agree with the f64 reference`);
  const rates = await measureRates(open, n, ({ operation, shape, ms, rate, unit }) => {
    note(`${operation} ${shape}: ${ms.toFixed(2)} ms, ${rate.toFixed(1)} ${unit}`);
  });
  return { engine, checks, rates };
}

async function infoOf(open: () => Promise<Engine>): Promise<EngineInfo> {
  using engine = await open();
  return engine.info;
}
