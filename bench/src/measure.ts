import type { Engine } from "@safedelta/engine";
import { measure } from "mitata";
import type { Case, Prepared } from "./case.ts";
import type { Peer } from "./peer.ts";

/** How long and how often. `once`: a single run after the warm-up one, to see that everything works. */
export interface Effort {
  readonly once: boolean;
  /** Interleaved rounds when there is a peer to compare with. */
  readonly rounds: number;
}

/** One line of the table. Times of one run, in ms. */
export interface Result {
  readonly name: string;
  readonly medianMs: number;
  readonly leastMs: number;
  readonly gflops?: number;
  /** Deviation of the answer, checked after timing. */
  readonly error: number;
  readonly versus?: Versus;
}

/** Comparison with the peer: `ratio` is its time over ours, so the share of its speed that we reach. */
export interface Versus {
  readonly peerMs: number;
  readonly ratio: number;
  readonly leastRatio: number;
  readonly mostRatio: number;
}

const roundSeconds = 0.3;

/** Measure one case on the engine, in turns with the peer where the case and the caller have one. */
export async function measureCase(engine: Engine, one: Case, effort: Effort, peer?: Peer): Promise<Result> {
  using prepared = one.prepare(engine);
  const rounds: { ours: Sample; peerMs?: number }[] = [];
  const nRounds = peer && one.peer && !effort.once ? effort.rounds : 1;
  for (let round = 0; round < nRounds; round++) {
    const ours = await sample(prepared, effort.once);
    const peerMs = peer && one.peer ? await peer.run(one.peer, effort.once ? 0 : roundSeconds) : undefined;
    rounds.push({ ours, peerMs });
  }
  const medianMs = median(rounds.map(({ ours }) => ours.medianMs));
  return {
    name: one.name,
    medianMs,
    leastMs: Math.min(...rounds.map(({ ours }) => ours.leastMs)),
    gflops: one.flops && one.flops / medianMs / 1e6,
    error: checkedError(one, prepared),
    versus: versus(rounds),
  };
}

interface Sample {
  readonly medianMs: number;
  readonly leastMs: number;
}

async function sample(prepared: Prepared, once: boolean): Promise<Sample> {
  const body = function* () {
    yield { 0: () => prepared.reset?.(), bench: (_reset: undefined) => prepared.run() };
  };
  const single = { max_samples: 1, min_samples: 1, min_cpu_time: 0, warmup_samples: 0, batch_threshold: 0 };
  const timed = { min_samples: 3, min_cpu_time: roundSeconds * 1e9 };
  const { p50, min } = await measure(body, once ? single : timed);
  return { medianMs: p50 / 1e6, leastMs: min / 1e6 };
}

/** The deviation of the answer of one more run; a wrong answer has no time. */
function checkedError(one: Case, prepared: Prepared): number {
  prepared.reset?.();
  prepared.run();
  const { error, allowed } = prepared.check();
  if (!(error <= allowed))
    throw new Error(`${one.name}: wrong answer, deviation ${error} where ${allowed} is rounding`);
  return error;
}

function versus(rounds: { ours: Sample; peerMs?: number }[]): Versus | undefined {
  const paired = rounds.flatMap(({ ours, peerMs }) => (peerMs === undefined ? [] : [{ ours, peerMs }]));
  if (paired.length === 0) return undefined;
  const ratios = paired.map(({ ours, peerMs }) => peerMs / ours.medianMs);
  return {
    peerMs: median(paired.map(({ peerMs }) => peerMs)),
    ratio: median(ratios),
    leastRatio: Math.min(...ratios),
    mostRatio: Math.max(...ratios),
  };
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
