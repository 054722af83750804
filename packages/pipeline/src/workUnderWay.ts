import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { workName } from "@safedelta/checkpoint";
import { besideOf, repairedOutput, tunedOutput, workOf } from "./workFolder.ts";

/** How far the work in an output folder is. */
export interface WorkUnderWay {
  readonly folder: string;
  readonly what: string;
  /** Finished tensors of a repair, layers of a state, updates of a fine-tuning. */
  readonly nDone: number;
  readonly state: "waiting" | "running" | "finished";
}

/** Look at what a prepare, apply or finetune has finished in its output folder; nothing is written or locked. */
export async function workUnderWay(folder: string): Promise<WorkUnderWay> {
  const names = await namesIn(folder);
  const beside = await namesIn(besideOf(folder));
  const updates = beside.map((name) => Number(/^update-(\d+)/.exec(name)?.[1] ?? -1)).filter((n) => n >= 0);
  if (updates.length > 0) return { folder, what: "fine-tuning", nDone: Math.max(...updates), state: "running" };
  if (names.includes(workName)) return { folder, what: "repair", nDone: await nTensors(folder), state: "running" };
  const layers = await namesIn(workOf(folder));
  if (layers.length > 0) return { folder, what: "state", nDone: await nLayers(folder), state: "running" };
  const finished = { state: "state.json", repair: repairedOutput.mark, "fine-tuning": tunedOutput.mark };
  const what = Object.entries(finished).find(([, mark]) => names.includes(mark))?.[0];
  return { folder, what: what ?? "", nDone: 0, state: what === undefined ? "waiting" : "finished" };
}

/** Lines of the writer's journal that name a tensor. */
async function nTensors(folder: string): Promise<number> {
  const text = await readFile(join(folder, workName, "journal.jsonl"), "utf8").catch(() => "");
  return text.split("\n").filter((line) => line.startsWith('{"tensor"')).length;
}

/** Layers that are whole: their description is written last. */
async function nLayers(folder: string): Promise<number> {
  const layers = join(workOf(folder), "layers");
  const found = await Promise.all((await namesIn(layers)).map((name) => namesIn(join(layers, name))));
  return found.filter((names) => names.includes("layer.json")).length;
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((): string[] => []);
}
