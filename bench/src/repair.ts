/**
 * Repair of one square linear in mode reference against the official adjust step in PyTorch, in turns on the same numbers:
 * `bun bench/src/repair.ts [--engine wasm] [--size 4096] [--scale 1] [--threads 1,2] [--rounds 3]` (SAFEDELTA_PYTHON, else
 * python3, with torch). Ours is timed twice: from the Hessian, which is the peer's work, and from a prepared factor, as a
 * second request is served. Ours also measures the true safety losses for the report, which the peer does not.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { finishHessian, type InverseFactor, inverseFactor, repair } from "@safedelta/core";
import { type Engine, type EngineChoice, type Matrix, openEngine } from "@safedelta/engine";
import { Inputs } from "./case.ts";

const { values: options } = parseArgs({
  options: {
    engine: { type: "string", default: "wasm" },
    size: { type: "string", default: "4096" },
    scale: { type: "string", default: "1" },
    threads: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "3" },
  },
});

/** One linear and the undamped Hessian of its group. */
interface Linear {
  readonly hessian: Matrix;
  readonly aligned: Matrix;
  readonly tuned: Matrix;
}

const size = Number(options.size);
const budget = { kind: "scale", value: Number(options.scale) } as const;
const threads = options.threads.split(",").map(Number);
const folder = mkdtempSync(join(tmpdir(), "safedelta-bench-"));
try {
  const { engine } = await openEngine(options.engine as EngineChoice);
  using inputs = new Inputs(engine);
  const linear = makeLinear(inputs);
  for (const [name, m] of Object.entries(linear)) await Bun.write(join(folder, `${name}.f32`), engine.read(m).slice());
  const rounds: Round[] = [];
  for (let round = 0; round < Number(options.rounds); round++) rounds.push(await measureRound(engine, linear));
  const medianOf = (pick: (round: Round) => number) => {
    return rounds.map(pick).toSorted((a, b) => a - b)[Math.floor(rounds.length / 2)];
  };
  console.log(`reference repair of ${size} x ${size}, scale ${options.scale}, ${engine.info.description}`);
  console.log(
    `from the Hessian ${ms(medianOf(({ whole }) => whole))}, from the factor ${ms(medianOf(({ apply }) => apply))}`,
  );
  threads.forEach((count, i) => {
    const ratio = medianOf(({ whole, peers }) => peers[i] / whole);
    console.log(
      `torch, ${count} thread(s) ${ms(medianOf(({ peers }) => peers[i]))}, ${ratio.toFixed(2)} of ours (median of the rounds)`,
    );
  });
  console.log(
    `deviation from torch ${Math.max(...rounds.map(({ error }) => error)).toExponential(1)} of ‖tuned − aligned‖`,
  );
} finally {
  rmSync(folder, { recursive: true });
}

/** Inputs with a common part, so that columns matter to each other; a change a tenth the size of the weights. */
function makeLinear(inputs: Inputs): Linear {
  const { engine } = inputs;
  const [hessian, aligned, change] = [inputs.zeros(size, size), inputs.matrix(size, size), inputs.matrix(size, size)];
  const [activations, common] = [inputs.matrix(size, size), inputs.matrix(size, 8)];
  engine.gemm(0.5, common, false, inputs.matrix(8, size), false, 1, activations);
  engine.syrk(2 / 64, activations, 0, hessian);
  engine.mirror(hessian);
  const tuned = inputs.copy(aligned);
  engine.add(0.1, change, tuned);
  return { hessian, aligned, tuned };
}

/** Times in ms: ours from the Hessian and from the factor, the peer's for each number of threads; how far the answers differ. */
interface Round {
  readonly whole: number;
  readonly apply: number;
  readonly peers: readonly number[];
  readonly error: number;
}

/** Ours, then the peer with each number of threads; the answers are compared after timing. */
async function measureRound(engine: Engine, linear: Linear): Promise<Round> {
  const start = performance.now();
  using inverse = prepare(engine, linear.hessian);
  const prepared = performance.now();
  const { weight } = repair(engine, "reference", linear, { cols: size, inverse }, budget);
  const end = performance.now();
  using found = weight;
  const peers = threads.map(runPeer);
  return { whole: end - start, apply: end - prepared, peers, error: await deviation(engine, found, linear) };
}

function prepare(engine: Engine, hessian: Matrix): InverseFactor {
  using damped = engine.alloc(size, size);
  engine.convert(hessian, damped);
  finishHessian(engine, damped);
  return inverseFactor(engine, damped);
}

function runPeer(count: number): number {
  const script = fileURLToPath(new URL("../peers/adjust.py", import.meta.url));
  const task = { folder, rows: size, cols: size, scale: budget.value, threads: count };
  const { stdout, exitCode } = Bun.spawnSync([process.env.SAFEDELTA_PYTHON ?? "python3", script], {
    stdin: Buffer.from(`${JSON.stringify(task)}\n`),
    stderr: "inherit",
  });
  if (exitCode !== 0) throw new Error(`the peer ended with code ${exitCode}; it needs torch (set SAFEDELTA_PYTHON)`);
  return JSON.parse(stdout.toString().trim().split("\n")[1]).ms;
}

/** ‖ours − peer's‖ / ‖tuned − aligned‖. A wrong answer has no time. */
async function deviation(engine: Engine, found: Matrix, { aligned, tuned }: Linear): Promise<number> {
  using other = engine.alloc(size, size);
  engine.write(other, new Float32Array(await Bun.file(join(folder, "adjusted.f32")).arrayBuffer()));
  engine.add(-1, found, other);
  const error = norm(engine, other);
  engine.convert(tuned, other);
  engine.add(-1, aligned, other);
  const relative = error / norm(engine, other);
  if (!(relative < 1e-2)) throw new Error(`the answers differ by ${relative} of the change`);
  return relative;
}

function norm(engine: Engine, m: Matrix): number {
  return Math.sqrt(engine.columnSquares(m).reduce((sum, value) => sum + value, 0));
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
