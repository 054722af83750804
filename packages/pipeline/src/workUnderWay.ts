import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, workName } from "@safedelta/checkpoint";
import { readJson } from "./files.ts";
import { keptUpdate } from "./finetune/savedUpdates.ts";
import { isLocked } from "./lock.ts";
import { besideOf, jobFile, repairedOutput, tunedOutput, workOf } from "./workFolder.ts";

/** How far the work in an output folder is. */
export interface WorkUnderWay {
  readonly folder: string;
  readonly what: string;
  /** Finished tensors of a repair, layers of a state, updates of a fine-tuning, steps of an experiment. */
  readonly nDone: number;
  /** Undefined where the work has not told yet. */
  readonly nAll?: number;
  /** `stopped`: begun, and no run works there. */
  readonly state: "waiting" | "running" | "stopped" | "finished";
}

/** Look at what a prepare, apply or finetune has finished in its output folder; nothing is written or locked. */
export async function workUnderWay(folder: string): Promise<WorkUnderWay> {
  const counted = (await updates(folder)) ?? (await tensors(folder)) ?? (await layers(folder));
  if (counted) return { folder, ...counted, state: (await isLocked(folder)) ? "running" : "stopped" };
  const names = await namesIn(folder);
  const finished = { state: "state.json", repair: repairedOutput.mark, "fine-tuning": tunedOutput.mark };
  const what = Object.entries(finished).find(([, mark]) => names.includes(mark))?.[0];
  return { folder, what: what ?? "", nDone: 0, state: what === undefined ? "waiting" : "finished" };
}

type Counted = Pick<WorkUnderWay, "what" | "nDone" | "nAll">;

/** The last update of a fine-tuning that was kept. */
async function updates(folder: string): Promise<Counted | undefined> {
  const beside = besideOf(folder);
  const names = await namesIn(beside);
  const kept = names.map((name) => keptUpdate(name) ?? 0);
  if (!names.includes(jobFile)) return undefined;
  return { what: "fine-tuning", nDone: Math.max(...kept), nAll: await told(join(beside, jobFile), "nUpdates") };
}

/** Lines of the writer's journal that name a tensor; its files hold the names of all from the start. */
async function tensors(folder: string): Promise<Counted | undefined> {
  const work = join(folder, workName);
  const names = await namesIn(work);
  if (!(await namesIn(folder)).includes(workName)) return undefined;
  const text = await readFile(join(work, "journal.jsonl"), "utf8").catch(() => "");
  const nDone = text.split("\n").filter((line) => line.startsWith('{"tensor"')).length;
  const files = names.filter((name) => name.endsWith(".safetensors")).map((name) => nTensorsOf(join(work, name)));
  const nAll = (await Promise.all(files)).reduce((sum, n) => sum + n, 0);
  return { what: "repair", nDone, nAll: nAll >= nDone && nAll > 0 ? nAll : undefined };
}

/** None for a file whose header is not whole yet. */
async function nTensorsOf(path: string): Promise<number> {
  const file = await openSafetensors(path).catch(() => undefined);
  await file?.close();
  return file?.tensors.size ?? 0;
}

/** Layers that are whole: their description is written last. */
async function layers(folder: string): Promise<Counted | undefined> {
  const work = workOf(folder);
  if ((await namesIn(work)).length === 0) return undefined;
  const begun = join(work, "layers");
  const found = await Promise.all((await namesIn(begun)).map((name) => namesIn(join(begun, name))));
  const nDone = found.filter((names) => names.includes("layer.json")).length;
  return { what: "state", nDone, nAll: await told(join(work, jobFile), "nLayers") };
}

/** A number that a job's file holds beside the job. */
async function told(path: string, key: "nLayers" | "nUpdates"): Promise<number | undefined> {
  const found = await readJson<Record<string, unknown> | null>(path).catch(() => undefined);
  const n = found?.[key];
  return typeof n === "number" ? n : undefined;
}

function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((): string[] => []);
}
