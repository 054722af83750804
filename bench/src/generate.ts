/**
 * Greedy generation against PyTorch (transformers' `generate`, f32), in turns on the same prompts, each turn in a process of its own:
 * `bun bench/src/generate.ts MODEL_FOLDER [--engine native,wasm] [--batch 1,16] [--prompt 32] [--tokens 64] [--threads 2] [--rounds 3] [--json]`
 * (SAFEDELTA_PYTHON, else python3, with torch and transformers). Prompts are random tokens and no token ends an answer. Opening the model and a first
 * short answer are not timed; the prompts' own pass is.
 */
import { parseArgs } from "node:util";
import { type EngineChoice, openEngine } from "@safedelta/engine";
import { generate, openModel } from "@safedelta/model";
import { openModelFiles, silent } from "@safedelta/pipeline";
import { machine } from "./machine.ts";
import { cpuSeconds, ownTurn, peerTurn, randomNumbers, type Turn } from "./turn.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string", default: "native,wasm" },
    batch: { type: "string", default: "1,16" },
    prompt: { type: "string", default: "32" },
    tokens: { type: "string", default: "64" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    /** The engine of a turn of ours, whose prompts come on stdin: what a child of this program is started with. */
    turn: { type: "string" },
  },
});

/** What one turn measured: new tokens of all answers. */
interface Writing extends Turn {
  readonly answers: readonly (readonly number[])[];
}

interface Task {
  readonly model: string;
  readonly prompts: readonly (readonly number[])[];
  readonly tokens: number;
  readonly threads: number;
}

/** One batch in one round: each engine's turn, and the peer's. */
interface Round {
  readonly batch: number;
  readonly turns: Readonly<Record<string, Writing>>;
}

const peer = "torch";
const nWarmUp = 4;
const [model] = positionals;
if (options.turn === undefined) compare();
else console.log(JSON.stringify(await write(options.turn as EngineChoice, await Bun.stdin.json())));

function compare(): void {
  const rounds: Round[] = [];
  for (const batch of options.batch.split(",").map(Number)) {
    const prompts = randomPrompts(batch, Number(options.prompt));
    const task: Task = { model, prompts, tokens: Number(options.tokens), threads: Number(options.threads) };
    for (let round = 0; round < Number(options.rounds); round++) {
      const turns = Object.fromEntries([...options.engine.split(","), peer].map((side) => [side, turnOf(side, task)]));
      requireAgreement(turns);
      rounds.push({ batch, turns });
      if (!options.json) report(rounds[rounds.length - 1]);
    }
  }
  if (options.json) console.log(JSON.stringify({ machine: machine(), rounds }, null, 2));
}

function report({ batch, turns }: Round): void {
  const theirs = turns[peer];
  for (const [side, { tokensPerSecond, tokensPerCpuSecond, versions }] of Object.entries(turns)) {
    const ratio = tokensPerSecond / theirs.tokensPerSecond;
    const cpuRatio = tokensPerCpuSecond / theirs.tokensPerCpuSecond;
    console.log(
      `batch ${batch}, ${side}: ${tokensPerSecond.toFixed(1)} tokens/s (${tokensPerCpuSecond.toFixed(1)} a core), ` +
        `${ratio.toFixed(2)} times torch's (${cpuRatio.toFixed(2)} a core); ${versions}`,
    );
  }
}

async function write(choice: EngineChoice, { prompts, tokens }: Task): Promise<Writing> {
  const { engine } = await openEngine(choice);
  await using files = await openModelFiles(model, true, silent);
  using opened = await openModel(engine, files.checkpoint);
  const answer = (maxNewTokens: number) =>
    generate(opened, prompts, { maxNewTokens, stopIds: [], batchSize: prompts.length });
  answer(nWarmUp);
  const [wall, cpu] = [performance.now() / 1000, cpuSeconds()];
  const answers = answer(tokens);
  const count = prompts.length * tokens;
  return {
    tokensPerSecond: count / (performance.now() / 1000 - wall),
    tokensPerCpuSecond: count / (cpuSeconds() - cpu),
    answers,
    versions: `${engine.info.description}, ${engine.info.threads} threads`,
  };
}

function turnOf(side: string, task: Task): Writing {
  if (side === peer) return peerTurn("generate.py", options.threads, task);
  return ownTurn(["--turn", side], options.threads, JSON.stringify(task));
}

/** The first tokens of all answers are the peer's; rounding may part later ones. A wrong answer has no time. */
function requireAgreement(turns: Readonly<Record<string, Writing>>): void {
  for (const [side, { answers }] of Object.entries(turns)) {
    const parted = answers.findIndex((ids, i) => ids[0] !== turns[peer].answers[i][0]);
    if (parted >= 0) throw new Error(`${side}: answer ${parted} begins otherwise than torch's`);
  }
}

/** Equally long prompts of tokens that are words or parts of them. */
function randomPrompts(n: number, length: number): number[][] {
  const random = randomNumbers();
  const token = () => 1000 + (random() % 20000);
  return Array.from({ length: n }, () => Array.from({ length }, token));
}
