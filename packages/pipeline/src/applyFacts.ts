import type { ModelConfig } from "@safedelta/model";
import type { ApplyFacts, LinearFacts } from "./applyOptions.ts";
import type { Note, Run } from "./applyRun.ts";
import { sha256 } from "./files.ts";
import { modelSha256, type OpenedModel } from "./models.ts";
import { linearsOf } from "./pair.ts";
import { planOf } from "./state.ts";
import { stampOf, toolVersion } from "./version.ts";

/** Tell everything about a repair from the journal of its writer, so that a resumed run tells the same. */
export function collectFacts(
  { engine, options, pair, state, writer }: Run,
  files: ReadonlyMap<string, Uint8Array>,
  { third, taskData }: Pick<ApplyFacts, "third" | "taskData">,
): ApplyFacts {
  const notes = notesOf(writer);
  return {
    toolVersion,
    engine: stampOf(engine.info),
    aligned: { spec: options.aligned, name: pair.aligned.name, hash: hashOf(pair.aligned, notes, "alignedSha256") },
    tuned: { spec: options.tuned, name: pair.tuned.name, hash: hashOf(pair.tuned, notes, "tunedSha256") },
    third,
    licence: pair.aligned.licence,
    stateHash: state.sha256,
    statePlan: planOf(state),
    safeData: state.manifest.safeData,
    taskData,
    dtype: dtypesOf(pair.aligned),
    layers: layersOf(pair.aligned.config, notes),
    tensors: Object.fromEntries([...notes].map(([name, note]) => [name, note.sha256])),
    files: hashFiles(files),
  };
}

type Notes = ReadonlyMap<string, Note>;

/** In name order, since a resumed run finished its tensors in another one. */
function notesOf({ done }: Run["writer"]): Notes {
  const sorted = [...done].sort(([a], [b]) => (a < b ? -1 : 1));
  return new Map(sorted.map(([name, note]) => [name, note as Note]));
}

function hashOf({ configSha256 }: OpenedModel, notes: Notes, key: "alignedSha256" | "tunedSha256"): string {
  const present = [...notes].filter(([, note]) => note[key] !== "");
  return modelSha256(configSha256, Object.fromEntries(present.map(([name, note]) => [name, note[key]])));
}

function layersOf(config: ModelConfig, notes: Notes): ApplyFacts["layers"] {
  const linears = [...linearsOf(config)];
  return Array.from({ length: config.nLayers }, (_, layer) => ({
    layer,
    linears: linears.filter((entry) => entry.layer === layer).map(({ linear }) => linearFacts(linear, notes)),
  }));
}

/** sha256 of each file by its name. */
export function hashFiles(files: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]));
}

/** The storage types of the linears, usually one. */
function dtypesOf({ checkpoint, config }: OpenedModel): string {
  const dtypes = [...linearsOf(config)].map(({ linear }) => checkpoint.tensors.get(linear.name)?.dtype);
  return [...new Set(dtypes)].join(", ");
}

function linearFacts({ name, rows, cols }: { name: string; rows: number; cols: number }, notes: Notes): LinearFacts {
  const numbers = notes.get(name)?.numbers;
  if (!numbers) throw new Error(`the journal holds no numbers of ${name}`);
  return { name, rows, cols, ...numbers };
}
