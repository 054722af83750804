import type { Engine, Matrix } from "@safedelta/engine";

/** What is measured: one operation at one size, on an engine. */
export interface Case {
  /** Operation and size, as printed. */
  readonly name: string;
  /** Floating point operations of one run as LAPACK counts them; undefined where memory or time says more. */
  readonly flops?: number;
  /** Where memory bounds it: bytes that pass through it in one run, each input once and each output once. */
  readonly bytes?: number;
  /** The same work for the peer process; undefined where there is no peer. */
  readonly peer?: PeerTask;
  /** Make the inputs. Nothing here is timed. */
  prepare(engine: Engine): Prepared;
}

/** An operation of `peers/openblas.py` and its sizes. */
export interface PeerTask {
  readonly op: "gemm" | "syrk" | "cholesky" | "inverse" | "trmm" | "trsm" | "eigh";
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** A case with its inputs in engine memory. */
export interface Prepared extends Disposable {
  /** Bring back inputs that `run` overwrites; called before each run and not timed. */
  reset?(): void;
  run(): void;
  /** Largest deviation of the last answer and how much of it is rounding. */
  check(): Deviation;
}

/** ‖got − expected‖ / ‖expected‖, and the most that f32 arithmetic explains. */
export interface Deviation {
  readonly error: number;
  readonly allowed: number;
}

/** Times of one run in ms: of the processor for one thread, else of the clock. */
export interface Sample {
  readonly medianMs: number;
  /** What other work on the machine disturbs least. */
  readonly leastMs: number;
}

/** Matrices that are disposed together, filled from one seed. */
export class Inputs implements Disposable {
  private readonly held: Matrix[] = [];
  private state = 20250512;

  constructor(readonly engine: Engine) {}

  /** Uniform in [−1, 1) (a linear congruential generator is random enough to be timed). */
  uniform(): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return this.state / 2 ** 31 - 1;
  }

  zeros(rows: number, cols: number): Matrix {
    return this.hold(this.engine.alloc(rows, cols));
  }

  hold(m: Matrix): Matrix {
    this.held.push(m);
    return m;
  }

  matrix(rows: number, cols: number): Matrix {
    const m = this.zeros(rows, cols);
    this.engine.write(
      m,
      Float32Array.from({ length: rows * cols }, () => this.uniform()),
    );
    return m;
  }

  copy(m: Matrix): Matrix {
    const copy = this.zeros(m.rows, m.cols);
    this.engine.convert(m, copy);
    return copy;
  }

  /** A well-conditioned upper triangle with zeros below. */
  triangle(n: number): Matrix {
    const r = this.zeros(n, n);
    const values = new Float32Array(n * n);
    for (let i = 0; i < n; i++) {
      values[i * n + i] = 1.5 + 0.5 * this.uniform();
      for (let j = i + 1; j < n; j++) values[i * n + j] = this.uniform() / Math.sqrt(n);
    }
    this.engine.write(r, values);
    return r;
  }

  /** A well-conditioned symmetric positive definite matrix. */
  definite(n: number): Matrix {
    using x = this.matrix(Math.min(n, 512), n);
    const h = this.zeros(n, n);
    for (let i = 0; i < n; i++) this.engine.fill(h.view(i, i, 1, 1), 1);
    this.engine.syrk(1 / x.rows, x, 1, h);
    this.engine.mirror(h);
    return h;
  }

  [Symbol.dispose](): void {
    for (const m of this.held) m[Symbol.dispose]();
  }
}
