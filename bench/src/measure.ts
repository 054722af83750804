import type { Engine } from "@safedelta/engine";
import { measure } from "mitata";
import type { Case, Prepared, Sample } from "./case.ts";
import type { Peer } from "./peer.ts";
import { cpuSeconds } from "./turn.ts";

/** How long and how often. `once`: a single run after the warm-up one, to see that everything works. */
export interface Effort {
  readonly once: boolean;
  /** Interleaved rounds when there is a peer to compare with. */
  readonly rounds: number;
}

/** One line of the table. */
export interface Result extends Sample {
  readonly name: string;
  readonly gflops?: number;
  /** 10⁹ bytes a second. */
  readonly gigabytes?: number;
  /** Deviation of the answer, checked after timing. */
  readonly error: number;
  readonly versus?: Versus;
}

/** Comparison with the peer. */
export interface Versus {
  readonly peer: Sample;
  /** Least time of the peer over our least one: the share of its speed that we reach. */
  readonly ratio: number;
  /** The same of the medians, least and most over the rounds: how far the machine let us measure. */
  readonly range: readonly [number, number];
}

/** What one round measured. */
interface Round {
  readonly ours: Sample;
  readonly peer?: Sample;
}

const roundSeconds = 0.3;

const processorTime = () => 1e9 * cpuSeconds();

/** Measure one case on the engine, in turns with the peer where the case and the caller have one. */
export async function measureCase(engine: Engine, one: Case, effort: Effort, peer?: Peer): Promise<Result> {
  using prepared = one.prepare(engine);
  const now = engine.info.threads === 1 ? processorTime : Bun.nanoseconds;
  const rounds: Round[] = [];
  const nRounds = peer && one.peer && !effort.once ? effort.rounds : 1;
  for (let round = 0; round < nRounds; round++) {
    const ours = await sample(prepared, now, effort.once);
    rounds.push({ ours, peer: one.peer && (await peer?.run(one.peer, effort.once ? 0 : roundSeconds)) });
  }
  const { medianMs, leastMs } = summary(rounds.map(({ ours }) => ours));
  return {
    name: one.name,
    medianMs,
    leastMs,
    gflops: one.flops && one.flops / leastMs / 1e6,
    gigabytes: one.bytes && one.bytes / leastMs / 1e6,
    error: checkedError(one, prepared),
    versus: versus(rounds),
  };
}

async function sample(prepared: Prepared, now: () => number, once: boolean): Promise<Sample> {
  const body = function* () {
    yield { 0: () => prepared.reset?.(), bench: (_reset: undefined) => prepared.run() };
  };
  const single = { now, max_samples: 1, min_samples: 1, min_cpu_time: 0, warmup_samples: 0, batch_threshold: 0 };
  const timed = { now, min_samples: 3, min_cpu_time: roundSeconds * 1e9 };
  const { p50, min } = await measure(body, once ? single : timed);
  return { medianMs: p50 / 1e6, leastMs: min / 1e6 };
}

function summary(samples: readonly Sample[]): Sample {
  const medians = samples.map(({ medianMs }) => medianMs).toSorted((a, b) => a - b);
  return {
    medianMs: medians[Math.floor(medians.length / 2)],
    leastMs: Math.min(...samples.map(({ leastMs }) => leastMs)),
  };
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

function versus(rounds: readonly Round[]): Versus | undefined {
  const paired = rounds.flatMap(({ ours, peer }) => (peer ? [{ ours, peer }] : []));
  if (paired.length === 0) return undefined;
  const [ours, peer] = [summary(paired.map((round) => round.ours)), summary(paired.map((round) => round.peer))];
  const ratios = paired.map((round) => round.peer.medianMs / round.ours.medianMs);
  return { peer, ratio: peer.leastMs / ours.leastMs, range: [Math.min(...ratios), Math.max(...ratios)] };
}
