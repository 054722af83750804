/**
 * Full fine-tuning against PyTorch eager f32, in turns on the same data in the same order, each turn in a process of its own:
 * `bun bench/src/finetune.ts MODEL_FOLDER [--engine auto] [--words 170] [--batch 4] [--updates 4] [--threads 2] [--rounds 3] [--json]`
 * (SAFEDELTA_PYTHON, else python3, with torch and transformers). Of `words` random words half are the request and half the answer.
 * The first update of a turn is not timed; reading and writing the model are not either.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type EngineChoice, openEngine } from "@safedelta/engine";
import { type FinetuneOptions, finetune, peakResidentBytes } from "@safedelta/pipeline";
import { machine } from "./machine.ts";
import { cpuSeconds, ownTurn, peerTurn, randomNumbers, type Turn } from "./turn.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string", default: "auto" },
    words: { type: "string", default: "170" },
    batch: { type: "string", default: "4" },
    updates: { type: "string", default: "4" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    /** The folder of a turn of ours: what a child of this program is started with. */
    turn: { type: "string" },
  },
});

/** What one turn measured. */
interface Training extends Turn {
  readonly peakBytes: number;
  readonly losses: readonly number[];
}

/** What conversations are made of. */
const words =
  "the a of to and in is it was on at by for with from river stone garden window paper letter morning quiet green".split(
    " ",
  );

/** A rate so small that the losses of both sides stay comparable. */
const lr = 1e-6;
const [model] = positionals;
if (options.turn !== undefined) console.log(JSON.stringify(await train(options.turn)));
else await compare();

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "safedelta-bench-"));
  try {
    const [batch, updates] = [Number(options.batch), Number(options.updates)];
    await Bun.write(join(folder, "data.jsonl"), randomText(batch * updates, Number(options.words)));
    const turns: Sides[] = [];
    for (let round = 0; round < Number(options.rounds); round++) {
      const turn = {
        ours: ownTurn<Training>(["--turn", folder], options.threads),
        theirs: peerTurn<Training>("finetune.py", options.threads, taskOf(folder)),
      };
      requireAgreement(turn);
      turns.push(turn);
    }
    report(turns);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One round. */
interface Sides {
  readonly ours: Training;
  readonly theirs: Training;
}

function report(turns: readonly Sides[]): void {
  if (options.json) {
    console.log(JSON.stringify({ machine: machine(), turns }, null, 2));
    return;
  }
  for (const { ours, theirs } of turns) {
    const show = ({ tokensPerSecond, tokensPerCpuSecond, peakBytes }: Training) =>
      `${tokensPerSecond.toFixed(1)} tokens/s (${tokensPerCpuSecond.toFixed(1)} a core), ${(peakBytes / 2 ** 30).toFixed(2)} GiB`;
    const ratio = ours.tokensPerSecond / theirs.tokensPerSecond;
    const cpuRatio = ours.tokensPerCpuSecond / theirs.tokensPerCpuSecond;
    console.log(
      `ours ${show(ours)}; torch ${show(theirs)}: ${ratio.toFixed(2)} times its speed (${cpuRatio.toFixed(2)} a core), ${(ours.peakBytes / theirs.peakBytes).toFixed(2)} of its memory`,
    );
  }
  console.log(`${turns[0].ours.versions}; ${turns[0].theirs.versions}`);
}

/** Train on the folder's data in the file's order, one epoch. */
async function train(folder: string): Promise<Training> {
  const { engine } = await openEngine(options.engine as EngineChoice);
  const times: { wall: number; cpu: number }[] = [];
  const step = () => times.push({ wall: performance.now() / 1000, cpu: cpuSeconds() });
  const progress = { stage() {}, step, warn: console.error };
  const { log } = await finetune(engine, ownOptions(folder), () => new Map(), progress);
  const [first, last] = [times[times.length - log.length], times[times.length - 1]];
  const tokens = log.slice(1).reduce((sum, { nTokens }) => sum + nTokens, 0);
  const versions = `${engine.info.name}: ${engine.info.description}, ${engine.info.threads} threads`;
  return {
    tokensPerSecond: tokens / (last.wall - first.wall),
    tokensPerCpuSecond: tokens / (last.cpu - first.cpu),
    peakBytes: peakResidentBytes(),
    losses: log.map(({ loss }) => loss),
    versions,
  };
}

function ownOptions(folder: string): FinetuneOptions {
  return {
    model,
    data: join(folder, "data.jsonl"),
    out: join(folder, `out-${performance.now()}`),
    weights: "f32",
    part: "all",
    rate: lr,
    schedule: "constant",
    warmup: 0,
    epochDecay: 1,
    clip: 1,
    adamW: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
    batch: Number(options.batch),
    epochs: 1,
    maxTokens: 2048,
    passTokens: 2048,
    seed: 0,
    saveMinutes: 60,
    maxShardBytes: 5e9,
    offline: true,
    overwrite: false,
  };
}

function taskOf(folder: string): object {
  const [batch, threads] = [Number(options.batch), Number(options.threads)];
  return { model, data: join(folder, "data.jsonl"), batch, threads, lr };
}

/** Both take the same batches in the same order. A wrong answer has no time. */
function requireAgreement({ ours, theirs }: Sides): void {
  const gap = Math.max(...ours.losses.map((loss, i) => Math.abs(loss / theirs.losses[i] - 1)));
  if (!(gap < 1e-4)) throw new Error(`the losses differ by ${gap}: ${ours.losses} and ${theirs.losses}`);
}

/** Conversations of random words, all equally long. */
function randomText(n: number, nWords: number): string {
  const random = randomNumbers();
  const word = () => words[(random() >>> 8) % words.length];
  const text = () => Array.from({ length: nWords / 2 }, word).join(" ");
  const line = () =>
    JSON.stringify({
      messages: [
        { role: "user", content: text() },
        { role: "assistant", content: text() },
      ],
    });
  return Array.from({ length: n }, () => `${line()}\n`).join("");
}
