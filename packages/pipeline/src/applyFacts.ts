import type { ApplyFacts, LinearFacts } from "./applyOptions.ts";
import type { Note, Run } from "./applyRun.ts";
import { sha256 } from "./files.ts";
import { modelSha256, type OpenedModel } from "./models.ts";
import { linearsOf } from "./pair.ts";
import type { DataFacts } from "./sequences.ts";
import { stampOf, toolVersion } from "./version.ts";

/** Tell everything about a repair from the journal of its writer, so that a resumed run tells the same. */
export function collectFacts(
  { engine, options, pair, state, writer }: Run,
  files: ReadonlyMap<string, Uint8Array>,
  taskData?: DataFacts,
): ApplyFacts {
  // In name order, since a resumed run finished its tensors in another one.
  const done = [...writer.done].sort(([a], [b]) => (a < b ? -1 : 1));
  const notes = new Map(done.map(([name, note]) => [name, note as Note]));
  const linears = [...linearsOf(pair.aligned.config)];
  const hashOf = (model: OpenedModel, key: "alignedSha256" | "tunedSha256") => {
    const present = [...notes].filter(([, note]) => note[key] !== "");
    return modelSha256(model.configSha256, Object.fromEntries(present.map(([name, note]) => [name, note[key]])));
  };
  return {
    toolVersion,
    engine: stampOf(engine.info),
    aligned: { spec: options.aligned, name: pair.aligned.name, hash: hashOf(pair.aligned, "alignedSha256") },
    tuned: { spec: options.tuned, name: pair.tuned.name, hash: hashOf(pair.tuned, "tunedSha256") },
    licence: pair.aligned.licence,
    stateHash: state.sha256,
    safeData: state.manifest.safeData,
    taskData,
    dtype: dtypes(
      pair.aligned.checkpoint.tensors,
      linears.map(({ linear }) => linear.name),
    ),
    layers: Array.from({ length: pair.aligned.config.nLayers }, (_, layer) => ({
      layer,
      linears: linears.filter((entry) => entry.layer === layer).map(({ linear }) => linearFacts(linear, notes)),
    })),
    tensors: Object.fromEntries([...notes].map(([name, note]) => [name, note.sha256])),
    files: hashFiles(files),
  };
}

/** sha256 of each file by its name. */
export function hashFiles(files: ReadonlyMap<string, Uint8Array>): Record<string, string> {
  return Object.fromEntries([...files].map(([name, bytes]) => [name, sha256(bytes)]));
}

/** The storage types of the linears, usually one. */
function dtypes(tensors: ReadonlyMap<string, { dtype: string }>, names: readonly string[]): string {
  return [...new Set(names.map((name) => tensors.get(name)?.dtype))].join(", ");
}

function linearFacts(
  { name, rows, cols }: { name: string; rows: number; cols: number },
  notes: ReadonlyMap<string, Note>,
): LinearFacts {
  const numbers = notes.get(name)?.numbers;
  if (!numbers) throw new Error(`the journal holds no numbers of ${name}`);
  return { name, rows, cols, ...numbers };
}
