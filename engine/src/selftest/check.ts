import type { Engine } from "../engine.ts";
import { openReference } from "../reference.ts";
import type { Results } from "./inputs.ts";
import { operations } from "./operations.ts";

/** One operation at one size against the f64 reference. */
export interface OperationCheck {
  readonly operation: string;
  readonly n: number;
  /** ‖engine − reference‖ / ‖reference‖, and the most that rounding may make of it. */
  readonly error: number;
  readonly allowed: number;
  readonly ok: boolean;
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
      using engine = await open();
      using oracle = await openReference();
      const [found, expected] = [run(engine, n), run(oracle, n)];
      const [error, allowed] = [relativeError(found, expected), allowedAt(n)];
      const check = { operation, n, error, allowed, ok: error <= allowed };
      checks.push(check);
      onCheck(check);
    }
  }
  return checks;
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
