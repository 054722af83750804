import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { nElements } from "@safedelta/checkpoint";
import { type DataOptions, openModelFiles, type Progress, readSequences, workUnderWay } from "@safedelta/pipeline";
import type { ShownModel, Sources } from "@safedelta/playground";
import { reportProblems, type SavedReport } from "@safedelta/report";
import { demoData, demoFolder } from "../demo/story.ts";
import { UsageError } from "../exitCode.ts";
import { experimentUnderWay } from "../experiment/outFolder.ts";
import { addModel, shortName } from "../serve/listening.ts";
import { describeData } from "../words.ts";

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

/** @throws UsageError when no model is asked for, or safe data without a pair; what opening models and data throws */
export async function openShow(asked: Asked, progress: Progress): Promise<Show> {
  await using opened = new AsyncDisposableStack();
  const specs = specsOf(asked);
  const models: ShownModel[] = [];
  let safe: Sources["safe"];
  for (const [name, spec] of specs) {
    const files = await exportedFiles(spec);
    if (!files) continue;
    models.push({ name, role: "other", kind: "mlc", f32Bytes: 0, maxPositions: 0, files });
    specs.delete(name);
  }
  for (const [name, spec] of specs) {
    const files = opened.use(await openModelFiles(spec, asked.offline, progress));
    const role = spec === asked.aligned ? "aligned" : spec === asked.tuned ? "tuned" : "other";
    const { checkpoint, config } = files;
    const nWeights = [...checkpoint.tensors.values()].reduce((sum, { shape }) => sum + nElements(shape), 0);
    models.push({
      name,
      role,
      kind: "tensors",
      f32Bytes: 4 * nWeights,
      maxPositions: config.maxPositions,
      checkpoint,
      linears: await storedLinears(spec, progress),
    });
    if (role !== "aligned" || asked.safeData === undefined) continue;
    safe = (await readSequences(describeData(asked.safeData, asked), files, asked.offline, progress)).ids;
  }
  const held = opened.move();
  const { prompts = [], maxNewTokens, watch } = asked;
  const watched = watch?.split(",");
  const lookAt = async (folder: string) => (await experimentUnderWay(folder)) ?? workUnderWay(folder);
  const look = watched && (() => Promise.all(watched.map(lookAt)));
  return {
    sources: { models, safe, prompts, maxNewTokens, progress: look },
    specs,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

function specsOf({ aligned, tuned, safeData, others }: Asked): Map<string, string> {
  if (safeData !== undefined && (aligned === undefined || tuned === undefined))
    throw new UsageError("--safe-data repairs a pair: give --aligned and --tuned, too.");
  const specs = new Map<string, string>();
  if (aligned !== undefined) addModel(specs, shortName(aligned), aligned);
  if (tuned !== undefined) addModel(specs, shortName(tuned), tuned);
  for (const [name, spec] of others) addModel(specs, name, spec);
  return specs;
}

/** The files of an export for web-llm; undefined for any other spelling. Links are left out: they may lead anywhere. */
async function exportedFiles(spec: string): Promise<ReadonlyMap<string, string> | undefined> {
  const entries = await readdir(spec, { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  if (!names.includes("web-llm.json")) return undefined;
  return new Map(names.map((name) => [name, join(spec, name)]));
}

/** The numbers by linear that a repaired model holds; undefined for any other. */
async function storedLinears(spec: string, progress: Progress): Promise<ShownModel["linears"]> {
  const text = await readFile(join(spec, "safedelta.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const saved: SavedReport = JSON.parse(text);
  const [problem] = reportProblems(saved);
  if (problem !== undefined) {
    progress.warn(`${spec}: its numbers are not shown: ${problem}`);
    return undefined;
  }
  return saved.layers.flatMap(({ layer, linears }) =>
    linears.map(({ blocks: _, ...linear }) => ({ ...linear, layer })),
  );
}
