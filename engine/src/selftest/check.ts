import type { Engine } from "../engine.ts";
import { openReference } from "../reference.ts";
import { attempt, type Failed } from "./attempt.ts";
import type { Operation, Results } from "./inputs.ts";
import { operations } from "./operations.ts";

/** One operation at one size against the f64 reference. */
export interface OperationCheck {
  readonly operation: string;
  readonly n: number;
  /** ‖engine − reference‖ / ‖reference‖ (Infinity without an answer), and the most that rounding may make of it. */
  readonly error: number;
  readonly allowed: number;
  readonly ok: boolean;
  /** What was thrown instead of an answer. */
  readonly failure?: string;
}

/** Around the blocks of kernels, and large enough for several of them. */
const sizes = [1, 17, 64, 130, 301] as const;

/** Unit roundoff of f32, and how many of it a sum of n products of well-conditioned matrices may be off. */
const unit = 2 ** -24;
const allowedAt = (n: number) => 16 * (2 + Math.sqrt(n)) * unit;

/** Every operation of the contract at several sizes, on the engine and on the f64 reference. */
export async function checkOperations(
  open: () => Promise<Engine>,
  onCheck: (check: OperationCheck) => void,
): Promise<OperationCheck[]> {
  const checks: OperationCheck[] = [];
  for (const [operation, run] of Object.entries(operations)) {
    for (const n of sizes) {
      const check = { operation, n, ...(await compare(open, run, n)) };
      checks.push(check);
      onCheck(check);
    }
  }
  return checks;
}

/** On an engine of its own: one that failed must not be used any more. */
async function compare(
  open: () => Promise<Engine>,
  run: Operation,
  n: number,
): Promise<Omit<OperationCheck, "operation" | "n">> {
  const found = await attempt(async () => {
    using engine = await open();
    return run(engine, n);
  });
  using oracle = await openReference();
  const [error, allowed] = [errorOf(found, run(oracle, n)), allowedAt(n)];
  return { error, allowed, ok: error <= allowed, ...("failure" in found ? found : {}) };
}

function errorOf(found: Results | Failed, expected: Results): number {
  return "failure" in found ? Number.POSITIVE_INFINITY : relativeError(found, expected);
}

/** Infinity when a number is missing or none. */
function relativeError(found: Results, expected: Results): number {
  let [squares, size] = [0, 0];
  for (const [i, values] of expected.entries()) {
    if (found[i]?.length !== values.length) return Number.POSITIVE_INFINITY;
    for (let at = 0; at < values.length; at++) {
      squares += (found[i][at] - values[at]) ** 2;
      size += values[at] ** 2;
    }
  }
  const error = size === 0 ? Math.sqrt(squares) : Math.sqrt(squares / size);
  return Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
}
