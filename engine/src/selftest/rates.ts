import type { Engine, Matrix } from "../engine.ts";
import { attempt, type Failed } from "./attempt.ts";
import { definite, random, triangle } from "./inputs.ts";

/** How fast an operation went. */
export interface Rate {
  readonly operation: string;
  readonly shape: string;
  /** Median of the repeats. */
  readonly ms: number;
  /** 10⁹ operations (or, of copies, bytes) a second. */
  readonly rate: number;
  readonly unit: "GFLOP/s" | "GB/s";
}

/** An operation that could not be timed. */
export interface FailedRate extends Failed {
  readonly operation: string;
}

/** What is timed: `run` is repeated, `amount` is its floating-point operations or bytes. */
interface Timed {
  readonly shape: string;
  readonly amount: number;
  readonly unit: Rate["unit"];
  run(): void;
}

const repeats = 3;

/** What each operation does at size n. Inputs that an operation overwrites are restored by a copy, which counts as nothing. */
const timings: Readonly<Record<string, (e: Engine, n: number) => Timed>> = {
  gemm: (e, n) => {
    const [a, b, c] = [random(e, n, n, 1), random(e, n, n, 2), e.alloc(n, n)];
    return { ...flops(n, 2 * n ** 3), run: () => e.gemm(1, a, false, b, false, 0, c) };
  },
  syrk: (e, n) => {
    const [a, c] = [random(e, 512, n, 3), e.alloc(n, n)];
    return { ...flops(n, 512 * n * (n + 1)), run: () => e.syrk(1, a, 1, c) };
  },
  choleskyReverse: (e, n) => restoring(e, definite(e, n, 4), n ** 3 / 3, (h) => e.choleskyReverse(h)),
  invertTriangle: (e, n) => restoring(e, triangle(e, n, 5), n ** 3 / 3, (r) => e.invertTriangle(r)),
  trmm: (e, n) => {
    const [b, r] = [random(e, n, n, 6), triangle(e, n, 7)];
    return restoring(e, b, n ** 3, (m) => e.trmm(m, r, false));
  },
  trsm: (e, n) => {
    const [b, r] = [random(e, n, n, 6), triangle(e, n, 7)];
    return restoring(e, b, n ** 3, (m) => e.trsm(m, r, true));
  },
  write: (e, n) => {
    const m = e.alloc(n, n);
    const values = new Float32Array(n * n);
    return { shape: `${n} x ${n} f32`, amount: 4 * n * n, unit: "GB/s", run: () => e.write(m, values) };
  },
  read: (e, n) => {
    const m = random(e, n, n, 8);
    return { shape: `${n} x ${n} f32`, amount: 4 * n * n, unit: "GB/s", run: () => void e.read(m) };
  },
};

function flops(n: number, amount: number): Omit<Timed, "run"> {
  return { shape: `${n} x ${n}`, amount, unit: "GFLOP/s" };
}

function restoring(e: Engine, original: Matrix, amount: number, change: (m: Matrix) => void): Timed {
  const work = e.alloc(original.rows, original.cols);
  return {
    ...flops(original.cols, amount),
    run() {
      e.convert(original, work);
      change(work);
    },
  };
}

/** Time the operations that carry the work, each on an engine of its own. @param n side of the square matrices */
export async function measureRates(
  open: () => Promise<Engine>,
  n: number,
  onRate: (rate: Rate | FailedRate) => void,
): Promise<(Rate | FailedRate)[]> {
  const rates: (Rate | FailedRate)[] = [];
  for (const [operation, make] of Object.entries(timings)) {
    const rate = { operation, ...(await attempt(async () => measure(await open(), n, make))) };
    rates.push(rate);
    onRate(rate);
  }
  return rates;
}

function measure(opened: Engine, n: number, make: (e: Engine, n: number) => Timed): Omit<Rate, "operation"> {
  using engine = opened;
  const { shape, amount, unit, run } = make(engine, n);
  const ms = medianMs(engine, run);
  return { shape, ms, rate: amount / ms / 1e6, unit };
}

/** A result is read back each time: an engine may return while it still computes. */
function medianMs(engine: Engine, run: () => void): number {
  const token = engine.alloc(1, 1);
  const once = () => {
    const start = performance.now();
    run();
    engine.read(token);
    return performance.now() - start;
  };
  once();
  const times = Array.from({ length: repeats }, once).sort((a, b) => a - b);
  return times[Math.floor(repeats / 2)];
}
