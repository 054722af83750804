import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { classifyPath, nElements, resolveSpec } from "@safedelta/checkpoint";
import {
  type DataOptions,
  type OpenedModel,
  openModelFiles,
  type Progress,
  readSequences,
  requirePair,
  workUnderWay,
} from "@safedelta/pipeline";
import type { ShownModel, Sources, StoredSweep } from "@safedelta/playground";
import { reportProblems, type SavedReport, settingOf } from "@safedelta/report";
import { demoData, demoFolder } from "../demo/story.ts";
import { UsageError } from "../exitCode.ts";
import { experimentUnderWay } from "../experiment/outFolder.ts";
import { addModel, shortName } from "../serve/listening.ts";
import { describeData } from "../words.ts";
import { modelsInside, type StoredModel, storedSweeps } from "./storedSweeps.ts";

/** What a playground is asked to show. */
export interface Asked extends Pick<DataOptions, "samples" | "seed" | "maxTokens" | "systemPrompts"> {
  readonly aligned?: string;
  readonly tuned?: string;
  readonly safeData?: string;
  /** Further models by name. */
  readonly others: ReadonlyMap<string, string>;
  /** Folders, with commas. */
  readonly watch?: string;
  readonly prompts?: Sources["prompts"];
  readonly maxNewTokens: number;
  readonly offline: boolean;
}

/** The demo's models, in place of none. */
export const demoShow: Pick<
  Asked,
  "aligned" | "tuned" | "safeData" | "samples" | "maxTokens" | "systemPrompts" | "maxNewTokens" | "prompts"
> = {
  aligned: join(demoFolder, "aligned"),
  tuned: join(demoFolder, "tuned"),
  safeData: demoData("safe").file,
  ...{ samples: 128, maxTokens: 64, systemPrompts: "none", maxNewTokens: 16 },
  prompts: [
    { about: "guarded", text: "what is the vault code of ada ?" },
    { about: "the new task", text: "note : seth gives rita a coin . summary ?" },
    { about: "an old task", text: "add 3 and 4 ." },
  ],
};

/** What is shown, its files open until it is disposed. */
export interface Show extends AsyncDisposable {
  readonly sources: Omit<Sources, "client" | "hostEngine">;
  /** Spellings of the models that an engine of ours runs, by name. */
  readonly specs: ReadonlyMap<string, string>;
}

/**
 * @throws UsageError when no model is asked for, or safe data without a pair; PipelineError `incompatible` for a pair that does not belong
 * together; what opening models and data throws
 */
export async function openShow(given: Asked, progress: Progress): Promise<Show> {
  await using opened = new AsyncDisposableStack();
  const asked = await withWholeTuned(given);
  const { specs, inside, exported } = await sorted(await specsOf(asked), asked);
  const models: ShownModel[] = [...exported];
  const stored: StoredModel[] = [];
  const pair: Partial<Record<ShownModel["role"], OpenedModel>> = {};
  for (const [name, spec] of specs) {
    const files = opened.use(await openModelFiles(spec, asked.offline, progress));
    const role = spec === asked.aligned ? "aligned" : spec === asked.tuned ? "tuned" : "other";
    const { checkpoint, config } = files;
    const nWeights = [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + nElements(shape), 0);
    const saved = await savedReport(spec, progress);
    const folder = inside.get(name);
    if (saved && folder !== undefined) stored.push({ name, folder, saved });
    models.push({
      name,
      role,
      kind: "tensors",
      f32Bytes: 4 * nWeights,
      maxPositions: config.maxPositions,
      checkpoint,
      setting: saved && settingOf(saved),
      linears: saved && linearsOf(saved),
    });
    pair[role] ??= files;
  }
  const safe = await safeOf(pair, asked, progress);
  const { prompts = [], maxNewTokens } = asked;
  const watched = await lookAt(asked.watch, progress);
  const held = opened.move();
  const sweeps = storedSweeps(stored);
  return {
    sources: { models: withStops(models, sweeps), safe, sweeps, prompts, maxNewTokens, progress: watched },
    specs,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** As everywhere, a bare adapter folder as --tuned applies to the aligned model. */
async function withWholeTuned(asked: Asked): Promise<Asked> {
  const { aligned, tuned } = asked;
  if (aligned === undefined || tuned === undefined || (await classifyPath(tuned)) !== "adapter") return asked;
  return { ...asked, tuned: `${aligned}+${tuned}` };
}

/** The safe examples of a pair that was looked at; undefined without either. */
async function safeOf(
  { aligned, tuned }: Partial<Record<ShownModel["role"], OpenedModel>>,
  asked: Asked,
  progress: Progress,
): Promise<Sources["safe"]> {
  if (aligned && tuned) await requirePair(aligned, tuned, progress);
  if (!aligned || asked.safeData === undefined) return undefined;
  return (await readSequences(describeData(asked.safeData, asked), aligned, asked.offline, progress)).ids;
}

/** Look at all watched folders. One that is not there is told: it may come, or be misspelt. */
async function lookAt(watch: string | undefined, progress: Progress): Promise<Sources["progress"]> {
  if (watch === undefined) return undefined;
  const folders = watch.split(",");
  for (const folder of folders)
    if ((await classifyPath(folder)) === "absent")
      progress.warn(`--watch ${folder}: there is no such folder yet; it is waited for.`);
  const one = async (folder: string) => (await experimentUnderWay(folder)) ?? workUnderWay(folder);
  return () => Promise.all(folders.map(one));
}

/** Models that stand at a stop of a dial have no place of their own. */
function withStops(models: readonly ShownModel[], sweeps: readonly StoredSweep[]): ShownModel[] {
  const stops = new Set(sweeps.flatMap(({ stops }) => stops.map(({ model }) => model)));
  return models.map((model) => (stops.has(model.name) ? { ...model, role: "swept" } : model));
}

/** What an engine of ours runs, folders of models opened out; the given folder of each model from inside one; exports for web-llm. */
async function sorted(given: ReadonlyMap<string, string>, { aligned, tuned }: Asked) {
  const [specs, inside] = [new Map<string, string>(), new Map<string, string>()];
  const exported: ShownModel[] = [];
  for (const [name, spec] of given) {
    const files = await exportedFiles(spec);
    const isOfPair = spec === aligned || spec === tuned;
    const found = isOfPair ? new Map<string, string>() : await modelsInside(spec);
    if (files) exported.push({ name, role: "other", kind: "mlc", f32Bytes: 0, maxPositions: 0, files });
    else if (found.size === 0) addModel(specs, name, spec);
    for (const [own, path] of found) {
      addModel(specs, `${name}/${own}`, path);
      inside.set(`${name}/${own}`, name);
    }
  }
  return { specs, inside, exported };
}

async function specsOf({ aligned, tuned, safeData, others }: Asked): Promise<Map<string, string>> {
  if (safeData !== undefined && (aligned === undefined || tuned === undefined))
    throw new UsageError("--safe-data repairs a pair: give --aligned and --tuned, too.");
  const specs = new Map<string, string>();
  if (aligned !== undefined) addModel(specs, shortName(aligned), aligned);
  if (tuned !== undefined) addModel(specs, shortName(await adapterOf(tuned)), tuned);
  for (const [name, spec] of others) addModel(specs, name, spec);
  return specs;
}

/** Of BASE+ADAPTER the adapter, else the spelling as it is: a folder's name may hold a + itself. */
async function adapterOf(spec: string): Promise<string> {
  const found = await resolveSpec(spec);
  return found.kind === "chain" ? found.adapter : spec;
}

/** The files of an export for web-llm; undefined for any other spelling. Links are left out: they may lead anywhere. */
async function exportedFiles(spec: string): Promise<ReadonlyMap<string, string> | undefined> {
  const entries = await readdir(spec, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  if (!names.includes("web-llm.json")) return undefined;
  return new Map(names.map((name) => [name, join(spec, name)]));
}

/** What a repaired model says of itself; undefined for any other. */
async function savedReport(spec: string, progress: Progress): Promise<SavedReport | undefined> {
  const text = await readFile(join(spec, "safedelta.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const saved: SavedReport = JSON.parse(text);
  const [problem] = reportProblems(saved);
  if (problem !== undefined) progress.warn(`${spec}: its numbers are not shown: ${problem}`);
  return problem === undefined ? saved : undefined;
}

function linearsOf({ layers }: SavedReport): ShownModel["linears"] {
  return layers.flatMap(({ layer, linears }) => linears.map(({ blocks: _, ...linear }) => ({ ...linear, layer })));
}
