/**
 * Greedy generation against PyTorch (transformers' `generate`, f32), in turns on the same prompts, each turn in a process of its own:
 * `bun bench/src/generate.ts MODEL_FOLDER [--engine native,wasm] [--batch 1,16] [--prompt 32] [--tokens 64] [--threads 2] [--rounds 3] [--json]`
 * (SAFEDELTA_PYTHON, else python3, with torch and transformers). Prompts are random tokens and no token ends an answer. Opening the model and a first
 * short answer are not timed; the prompts' own pass is.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type EngineChoice, openEngine } from "@safedelta/engine";
import { generate, openModel } from "@safedelta/model";
import { openModelFiles, silent } from "@safedelta/pipeline";
import { machine } from "./machine.ts";

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

/** What one turn measured. */
interface Turn {
  /** New tokens of all answers. */
  readonly tokensPerSecond: number;
  /** For each second that a core worked for the process. */
  readonly tokensPerCpuSecond: number;
  readonly answers: readonly (readonly number[])[];
  readonly versions: string;
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
  readonly turns: Readonly<Record<string, Turn>>;
}

const peer = "torch";
const nWarmUp = 4;
const [model] = positionals;
if (options.turn === undefined) compare();
else console.log(JSON.stringify(await ownTurn(options.turn as EngineChoice, await Bun.stdin.json())));

function compare(): void {
  const rounds: Round[] = [];
  for (const batch of options.batch.split(",").map(Number)) {
    const prompts = randomPrompts(batch, Number(options.prompt));
    const task: Task = { model, prompts, tokens: Number(options.tokens), threads: Number(options.threads) };
    for (let round = 0; round < Number(options.rounds); round++) {
      const turns = Object.fromEntries(
        [...options.engine.split(","), peer].map((side) => [side, side === peer ? peerTurn(task) : run(side, task)]),
      );
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

async function ownTurn(choice: EngineChoice, { prompts, tokens }: Task): Promise<Turn> {
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

/** Of all threads of this process. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function run(engine: string, task: Task): Turn {
  return child(process.execPath, [...process.argv.slice(1), "--turn", engine], task);
}

function peerTurn(task: Task): Turn {
  const script = fileURLToPath(new URL("../peers/generate.py", import.meta.url));
  return child(process.env.SAFEDELTA_PYTHON ?? "python3", [script], task);
}

function child(command: string, args: readonly string[], task: Task): Turn {
  const env = { ...process.env, SAFEDELTA_THREADS: options.threads };
  const stdin = Buffer.from(JSON.stringify(task));
  const { stdout, exitCode } = Bun.spawnSync([command, ...args], { env, stdin, stderr: "inherit" });
  if (exitCode === 0) return JSON.parse(stdout.toString().trim().split("\n").at(-1) as string);
  throw new Error(
    `${command} ended with code ${exitCode}; the peer needs torch and transformers (set SAFEDELTA_PYTHON)`,
  );
}

/** The first tokens of all answers are the peer's; rounding may part later ones. A wrong answer has no time. */
function requireAgreement(turns: Readonly<Record<string, Turn>>): void {
  for (const [side, { answers }] of Object.entries(turns)) {
    const parted = answers.findIndex((ids, i) => ids[0] !== turns[peer].answers[i][0]);
    if (parted >= 0) throw new Error(`${side}: answer ${parted} begins otherwise than torch's`);
  }
}

/** Equally long prompts of tokens that are words or parts of them. */
function randomPrompts(n: number, length: number): number[][] {
  let state = 1;
  const token = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return 1000 + ((state >>> 8) % 20000);
  };
  return Array.from({ length: n }, () => Array.from({ length }, token));
}
