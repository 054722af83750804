/**
 * Fill all of WebAssembly's memory and print as JSON what the engine does there (`FullMemory`). A process of its own, since
 * linear memory never shrinks.
 */
import { type Engine, EngineError, EngineMemoryError, type Matrix, openEngine } from "@safedelta/engine";

export interface FullMemory {
  /** What each operation that needs working memory throws when there is none: "error name, operation". */
  readonly failures: Record<string, string>;
  /** The same of eigh, where there is room for its result but not for its own working. */
  readonly eighInside: string;
  /** The answer near the start of memory, above 2 GiB, and after many runs with little room left. */
  readonly low: number[];
  readonly high: number[];
  readonly repeated: number[];
  readonly peakBytes: number;
  readonly finalBytes: number;
}

/** Memory is filled with pieces from the one size down to the other. */
const largestBytes = 2 ** 29;
const smallestBytes = 2 ** 10;
/** With this much room, a leak of 100 KiB a run does not go unnoticed. */
const roomBytes = 2 ** 22;
const nRepeats = 40;
/** Room for the n x n result of eigh in f32, not for an n x n matrix of f64. */
const tightBytes = 400 * 2 ** 10;

const n = 256;
const reversed = Int32Array.from({ length: n }, (_, i) => n - 1 - i);
const shape = { nHeads: 2, nKvHeads: 1, headDim: n / 2, scale: 1 };

interface Work {
  readonly h: Matrix;
  readonly b: Matrix;
  readonly c: Matrix;
}

/** Every operation that needs working memory, in an order that makes sense. */
function steps(engine: Engine, { h, b, c }: Work): Record<string, () => unknown> {
  return {
    syrk: () => engine.syrk(1 / n, b, 1, h),
    eigh: () => engine.eigh(h).vectors[Symbol.dispose](),
    choleskyReverse: () => engine.choleskyReverse(h),
    trsm: () => engine.trsm(b, h, true),
    trmm: () => engine.trmm(b, h, false),
    invertTriangle: () => engine.invertTriangle(h),
    gemm: () => engine.gemm(1, b, false, b, true, 0, c),
    scaleCols: () => engine.scaleCols(b, new Float32Array(n).fill(0.5)),
    gather: () => engine.gather(c, reversed, null, h),
    scatter: () => engine.scatter(h, null, reversed, c),
    attention: () => engine.attention(b, h.view(0, 0, n, n / 2), h.view(0, n / 2, n, n / 2), shape, c),
    columnSquares: () => engine.columnSquares(c),
  };
}

/** Inputs that do not depend on the machine: a positive definite h, any b. */
function reset(engine: Engine, { h, b }: Work): void {
  engine.fill(h, 0);
  for (let i = 0; i < n; i++) engine.fill(h.view(i, i, 1, 1), 1);
  engine.write(
    b,
    Float32Array.from({ length: n * n }, (_, at) => ((at * 7919) % 1009) / 1009 - 0.5),
  );
}

function allocWork(engine: Engine): Work {
  return { h: engine.alloc(n, n), b: engine.alloc(n, n), c: engine.alloc(n, n) };
}

/** All steps on fresh matrices. */
function answer(engine: Engine): number[] {
  const work = allocWork(engine);
  reset(engine, work);
  for (const step of Object.values(steps(engine, work))) step();
  const squares = [...engine.columnSquares(work.c)];
  disposeAll(Object.values(work));
  return squares;
}

function disposeAll(matrices: Matrix[]): void {
  for (const m of matrices) m[Symbol.dispose]();
}

/** Allocate ever smaller pieces until not even the smallest fits. */
function fillMemory(engine: Engine): Matrix[] {
  const held: Matrix[] = [];
  for (let bytes = largestBytes; bytes >= smallestBytes; bytes /= 2) {
    try {
      for (;;) held.push(engine.alloc(1, bytes / 4));
    } catch (error) {
      if (!(error instanceof EngineMemoryError)) throw error;
    }
  }
  return held;
}

/** What `step` throws on fresh inputs. */
function failure(engine: Engine, work: Work, step: () => unknown): string {
  reset(engine, work);
  try {
    step();
    return "nothing";
  } catch (error) {
    return error instanceof EngineError ? `${error.name}, ${error.operation}` : `${error}`;
  }
}

function runJob(engine: Engine): FullMemory {
  const low = answer(engine);
  const work = allocWork(engine);
  const held = fillMemory(engine);
  const named = Object.entries(steps(engine, work)).map(([name, step]) => [name, failure(engine, work, step)]);
  held[6][Symbol.dispose](); // of 7 pieces of 512 MiB; so it lies above 3 GiB
  const high = answer(engine);
  const eighInside = leaving(engine, tightBytes, () => failure(engine, work, steps(engine, work).eigh));
  const repeated = leaving(engine, roomBytes, () => Array.from({ length: nRepeats }, () => answer(engine)).at(-1));
  const peakBytes = engine.peakBytes;
  disposeAll([...held, ...Object.values(work)]);
  const failures = Object.fromEntries(named);
  return { failures, eighInside, low, high, repeated: repeated ?? [], peakBytes, finalBytes: engine.bytesInUse };
}

/** Run `use` with so much of the freed piece left. */
function leaving<T>(engine: Engine, bytes: number, use: () => T): T {
  using _rest = engine.alloc(1, (largestBytes - bytes) / 4);
  return use();
}

if (import.meta.main) {
  const { engine } = await openEngine("wasm");
  console.log(JSON.stringify(runJob(engine)));
}
