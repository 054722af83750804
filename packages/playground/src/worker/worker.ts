/** The WASM engine with its models, and the repair of one, away from the page's thread. */
import type { RepairNumbers } from "@safedelta/core";
import { type Engine, openWasmFrom } from "@safedelta/engine";
import { openModel } from "@safedelta/model";
import { ModelHost, type ServedModel } from "@safedelta/serving";
import { collectTokenizerFiles, openTokenizer } from "@safedelta/tokenizer";
import type { LinearNumbers } from "../scene.ts";
import { type LiveRepair, prepareLive } from "./liveRepair.ts";
import { type FromWorker, repairedName, type SweepPoint, type ToWorker } from "./messages.ts";
import { get, openRemote } from "./remoteCheckpoint.ts";

declare const self: Worker;

/** Caches of a model's answers: enough for the few that one page asks for. */
const limits = { nTogether: 4, cacheBytes: 2 ** 27, nDefaultTokens: 256 };

const say = (message: FromWorker) => self.postMessage(message);

let engine: Engine;
let host: ModelHost | undefined;
let live: LiveRepair | undefined;
const served = new Map<string, ServedModel>();

async function open(names: readonly string[]): Promise<void> {
  engine = await openWasmFrom(async () => (await get("/kernels.wasm")).arrayBuffer());
  for (const [i, name] of names.entries()) {
    say({ kind: "progress", text: `loading ${name}`, done: i, all: names.length });
    served.set(name, await load(name));
  }
  host = new ModelHost(served, limits, (message) => say({ kind: "host", message }));
  say({ kind: "opened", engine: engine.info.description });
}

async function load(name: string): Promise<ServedModel> {
  const checkpoint = await openRemote(name);
  const files = await collectTokenizerFiles((file) => checkpoint.companions.get(file)?.bytes());
  if (!files) throw new Error(`${name} has no tokenizer.json.`);
  return { model: await openModel(engine, checkpoint), tokenizer: openTokenizer(files) };
}

async function prepare({ aligned, tuned, shares }: Extract<ToWorker, { kind: "prepare" }>): Promise<void> {
  const start = performance.now();
  const [before, after] = [served.get(aligned), served.get(tuned)];
  if (!before || !after) throw new Error(`${aligned} or ${tuned} is not open.`);
  const sequences: number[][] = await (await get("/api/safe")).json();
  const repaired = await openModel(engine, await openRemote(aligned));
  const all = before.model.config.nLayers;
  const models = { aligned: before.model, tuned: after.model, repaired };
  live = await prepareLive(models, sequences, (layer) => {
    say({ kind: "progress", text: "preparing the repair", done: layer + 1, all });
  });
  host?.add(repairedName, { model: repaired, tokenizer: before.tokenizer });
  const sweep = shares.map((share) => pointOf(share, (live as LiveRepair).numbersAt(share)));
  say({ kind: "prepared", sweep, ms: performance.now() - start });
}

function pointOf(share: number, linears: readonly RepairNumbers[]): SweepPoint {
  const sum = (value: (numbers: RepairNumbers) => number) => linears.reduce((all, one) => all + value(one), 0);
  const [full, change] = [sum((n) => n.fullSafetyLoss), sum((n) => n.tunedDeltaNorm ** 2)];
  return {
    share,
    safetyLossShare: full === 0 ? 0 : sum((n) => n.safetyLoss) / full,
    changeKept: change === 0 ? 1 : 1 - sum((n) => n.utilityGap) / change,
  };
}

function repairNow(share: number): void {
  if (!live) throw new Error("The repair is not prepared yet.");
  const start = performance.now();
  live.repairAt(share);
  const numbers = live.numbersAt(share);
  const linears = live.linears.map(({ name, layer }, i): LinearNumbers => ({ ...shown(numbers[i]), name, layer }));
  say({ kind: "repaired", share, linears, ms: performance.now() - start });
}

function shown({ keptShare, safetyLoss, fullSafetyLoss, deltaNorm, tunedDeltaNorm }: RepairNumbers) {
  return { keptShare, safetyLoss, fullSafetyLoss, deltaNorm, tunedDeltaNorm };
}

async function hear(message: ToWorker): Promise<void> {
  if (message.kind === "open") return open(message.models);
  if (message.kind === "prepare") return prepare(message);
  if (message.kind === "repair") return repairNow(message.share);
  host?.receive(message.message);
}

self.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  try {
    await hear(data);
  } catch (error) {
    if (data.kind !== "host") say({ kind: "failed", during: data.kind, text: (error as Error).message });
    else throw error;
  }
};
