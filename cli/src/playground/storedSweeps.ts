import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { StoredStop, StoredSweep } from "@safedelta/playground";
import { ratio, type SavedReport, settingOf, taskWords } from "@safedelta/report";

/** Repaired models right inside a folder, as `sweep --out` and `demo` leave them, by folder name; none in a model's own folder. */
export async function modelsInside(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder).catch((): string[] => [])).sort();
  if (names.includes("config.json")) return new Map();
  const isModel = await Promise.all(names.map((name) => isFile(join(folder, name, "safedelta.json"))));
  return new Map(names.filter((_, i) => isModel[i]).map((name) => [name, join(folder, name)]));
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** A repaired model with what it says of itself. */
export interface StoredModel {
  readonly name: string;
  /** The folder that was given. */
  readonly folder: string;
  readonly saved: SavedReport;
}

/** The models of a folder by method: those of one that several settings were tried of are the stops of a dial. */
export function storedSweeps(models: readonly StoredModel[]): StoredSweep[] {
  const byMethod = Map.groupBy(models, ({ folder, saved }) => `${folder}: ${methodOf(saved)}`);
  return [...byMethod].flatMap(([name, own]) => {
    const stops = own.map(stopOf).sort((a, b) => b.safetyLossShare - a.safetyLossShare);
    return stops.length > 1 ? [{ name, stops }] : [];
  });
}

function methodOf(saved: SavedReport): string {
  return [saved.rival?.method ?? String(saved.mode), ...taskWords(saved)].join(", ");
}

function stopOf({ name, saved }: StoredModel): StoredStop {
  const { safetyLossShare, utilityGap, tunedDeltaNorm } = saved.totals;
  const changeKept = 1 - ratio(utilityGap, tunedDeltaNorm ** 2);
  return { model: name, setting: settingOf(saved), safetyLossShare, changeKept };
}
