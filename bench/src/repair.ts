/**
 * Repair of one square linear in each mode against the official adjust step in PyTorch, in turns on the same numbers:
 * `bun bench/src/repair.ts [--engine auto] [--modes optimal,adapter,cholesky,exact,reference] [--size 4096] [--threads 1,2] [--rounds 3] [--alone] [--json]`
 * (SAFEDELTA_PYTHON, else python3, with torch). Ours is timed twice: from the Hessian, which is the peer's work, and from a prepared
 * factor, as every request is served; each run is the second in its process. Ours also measures the true safety losses for the report,
 * which the peer does not. With --alone there is no peer, and nothing to compare the answers with.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  type Adapter,
  type Budget,
  dampedHessian,
  finishHessian,
  inverseFactor,
  type Mode,
  optimalFactorOf,
  orderedFactor,
  type PreparedGroup,
  repair,
  repairAdapter,
  spectrum,
} from "@safedelta/core";
import { type Engine, type EngineChoice, type Matrix, openEngine } from "@safedelta/engine";
import { Inputs } from "./case.ts";
import { machine } from "./machine.ts";

const { values: options } = parseArgs({
  options: {
    engine: { type: "string", default: "auto" },
    modes: { type: "string", default: "optimal,adapter,cholesky,exact,reference" },
    size: { type: "string", default: "4096" },
    threads: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "3" },
    alone: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

interface Method {
  /** What the mode keeps of a group. */
  make(e: Engine, h: Matrix): Partial<PreparedGroup>;
  /** Of `adapter` A′, else the repaired weight. */
  repair(e: Engine, linear: Linear, group: PreparedGroup): Matrix;
}

const referenceScale = 1;
const loss: Budget = { kind: "loss", share: 0.1 };
const repairedBy =
  (mode: Mode, budget: Budget): Method["repair"] =>
  (e, linear, group) =>
    repair(e, mode, linear, group, budget).weight;

/** `cholesky` is `optimal` without a spectrum, `adapter` that of a LoRA delta which stays one. */
const methods = {
  optimal: { make: (e, h) => ({ spectrum: spectrum(e, h) }), repair: repairedBy("optimal", loss) },
  adapter: {
    make: (e, h) => ({ spectrum: spectrum(e, h) }),
    repair: (e, { adapter }, group) => repairAdapter(e, adapter, optimalFactorOf(group), loss).a,
  },
  cholesky: { make: (e, h) => ({ hessian: dampedHessian(e, h) }), repair: repairedBy("optimal", loss) },
  exact: { make: (e, h) => ({ ordered: orderedFactor(e, h) }), repair: repairedBy("exact", loss) },
  reference: {
    make: (e, h) => ({ inverse: inverseFactor(e, h) }),
    repair: repairedBy("reference", { kind: "scale", value: referenceScale }),
  },
} as const satisfies Record<string, Method>;
type Timed = keyof typeof methods;

/** One linear and the undamped Hessian of its group. */
interface Linear {
  readonly hessian: Matrix;
  readonly aligned: Matrix;
  readonly tuned: Matrix;
  /** Another delta, of rank 16. */
  readonly adapter: Adapter;
}

const size = Number(options.size);
const modes = options.modes.split(",") as Timed[];
const threads = options.alone ? [] : options.threads.split(",").map(Number);
const folder = mkdtempSync(join(tmpdir(), "safedelta-bench-"));
try {
  const { engine } = await openEngine(options.engine as EngineChoice);
  using inputs = new Inputs(engine);
  const linear = makeLinear(inputs);
  const { hessian, aligned, tuned } = linear;
  for (const [name, m] of Object.entries({ hessian, aligned, tuned }))
    await Bun.write(join(folder, `${name}.f32`), engine.read(m).slice());
  const prepared = modes.map((mode) => ({ mode, ...prepare(engine, mode, linear.hessian) }));
  const rounds: Round[] = [];
  for (let round = 0; round < Number(options.rounds); round++)
    rounds.push(await measureRound(engine, linear, prepared));
  report(engine, prepared, rounds);
} finally {
  rmSync(folder, { recursive: true });
}

function report(engine: Engine, prepared: readonly Prepared[], rounds: readonly Round[]): void {
  const medianOf = (pick: (round: Round) => number) =>
    rounds.map(pick).toSorted((a, b) => a - b)[Math.floor(rounds.length / 2)];
  const results = prepared.map(({ mode, ms }, at) => {
    const repairMs = medianOf(({ ours }) => ours[at]);
    const ratios = threads.map((_, i) => medianOf(({ ours, peers }) => peers[i] / ours[at]));
    return { mode, factorMs: ms, repairMs, ratios };
  });
  const peers = threads.map((count, i) => ({ threads: count, ms: medianOf((round) => round.peers[i]) }));
  if (options.json) {
    console.log(JSON.stringify({ machine: machine(), engine: engine.info, size, peers, results }, null, 2));
    return;
  }
  console.log(
    `one ${size} x ${size} linear, ${engine.info.name}: ${engine.info.description}, ${engine.info.threads} thread(s)`,
  );
  for (const { threads: count, ms } of peers)
    console.log(`the official step in torch, ${count} thread(s): ${ms.toFixed(0)} ms`);
  for (const { mode, factorMs, repairMs, ratios } of results) {
    const faster = ratios.map((ratio, i) => `, ${ratio.toFixed(1)} times faster than torch on ${threads[i]}`).join("");
    console.log(`${mode}: factor ${factorMs.toFixed(0)} ms, once; repair ${repairMs.toFixed(0)} ms${faster}`);
  }
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
  return { hessian, aligned, tuned, adapter: { a: inputs.matrix(16, size), b: inputs.matrix(size, 16) } };
}

/** A factor and the time that it took. */
interface Prepared {
  readonly mode: Timed;
  readonly group: PreparedGroup;
  readonly ms: number;
}

function prepare(engine: Engine, mode: Timed, hessian: Matrix): Omit<Prepared, "mode"> {
  using damped = engine.alloc(size, size);
  engine.convert(hessian, damped);
  const start = performance.now();
  finishHessian(engine, damped);
  const group: PreparedGroup = { cols: size, ...methods[mode].make(engine, damped) };
  return { group, ms: performance.now() - start };
}

/** Times in ms: ours of each mode, the peer's for each number of threads. */
interface Round {
  readonly ours: readonly number[];
  readonly peers: readonly number[];
}

/** Ours, then the peer with each number of threads; the answers of mode reference are compared after timing. */
async function measureRound(engine: Engine, linear: Linear, prepared: readonly Prepared[]): Promise<Round> {
  const repaired = prepared.map((one) => {
    repairOnce(engine, linear, one)[Symbol.dispose]();
    const start = performance.now();
    return { mode: one.mode, weight: repairOnce(engine, linear, one), ms: performance.now() - start };
  });
  const peers = threads.map(runPeer);
  for (const { mode, weight } of repaired) {
    using found = weight;
    if (mode === "reference" && peers.length > 0) await requireAgreement(engine, found, linear);
  }
  return { ours: repaired.map(({ ms }) => ms), peers };
}

/** What the repair gives, when it is there. */
function repairOnce(engine: Engine, linear: Linear, { mode, group }: Prepared): Matrix {
  const weight = methods[mode].repair(engine, linear, group);
  engine.read(weight.view(0, 0, 1, 1));
  return weight;
}

function runPeer(count: number): number {
  const script = fileURLToPath(new URL("../peers/adjust.py", import.meta.url));
  const task = { folder, rows: size, cols: size, scale: referenceScale, threads: count };
  const { stdout, exitCode } = Bun.spawnSync([process.env.SAFEDELTA_PYTHON ?? "python3", script], {
    stdin: Buffer.from(`${JSON.stringify(task)}\n`),
    stderr: "inherit",
  });
  if (exitCode !== 0) throw new Error(`the peer ended with code ${exitCode}; it needs torch (set SAFEDELTA_PYTHON)`);
  return JSON.parse(stdout.toString().trim().split("\n")[1]).ms;
}

/** ‖ours − peer's‖ is small beside ‖tuned − aligned‖. A wrong answer has no time. */
async function requireAgreement(engine: Engine, found: Matrix, { aligned, tuned }: Linear): Promise<void> {
  using other = engine.alloc(size, size);
  engine.write(other, new Float32Array(await Bun.file(join(folder, "adjusted.f32")).arrayBuffer()));
  engine.add(-1, found, other);
  const error = norm(engine, other);
  engine.convert(tuned, other);
  engine.add(-1, aligned, other);
  const relative = error / norm(engine, other);
  if (!(relative < 1e-2)) throw new Error(`the answers differ by ${relative} of the change`);
}

function norm(engine: Engine, m: Matrix): number {
  return Math.sqrt(engine.columnSquares(m).reduce((sum, value) => sum + value, 0));
}
