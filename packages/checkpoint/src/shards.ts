import { CheckpointError } from "./errors.ts";
import { isJsonObject, readJsonObject } from "./json-file.ts";
import { safePath } from "./safe-path.ts";
import { openSafetensors, type TensorFile } from "./safetensors.ts";
import { requireTensor, type Tensor, type TensorInfo } from "./tensor.ts";

/** File names of the Hugging Face layout. */
export const weightsName = "model.safetensors";
export const indexName = "model.safetensors.index.json";

/** Tensors of one or several files, read when asked for. */
export interface TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  read(name: string): Promise<Tensor>;
  readRows(name: string, start: number, count: number): Promise<Tensor>;
  close(): Promise<void>;
}

async function readWeightMap(folder: string): Promise<Map<string, string>> {
  const path = await safePath(folder, indexName);
  const { weight_map: map } = await readJsonObject(path);
  if (!isJsonObject(map) || !Object.values(map).every((file) => typeof file === "string"))
    throw new CheckpointError("format", `${path}: weight_map must map tensor names to file names`, { file: path });
  return new Map(Object.entries(map as Record<string, string>));
}

async function openShards(folder: string, names: Iterable<string>): Promise<Map<string, TensorFile>> {
  const files = new Map<string, TensorFile>();
  try {
    for (const name of names) files.set(name, await openSafetensors(await safePath(folder, name)));
    return files;
  } catch (error) {
    for (const file of files.values()) await file.close();
    throw error;
  }
}

/** Warns of tensors that lie in a shard but not in the index: transformers would not load them from there. */
function warnUnlisted(
  files: Map<string, TensorFile>,
  weightMap: Map<string, string>,
  onWarn: (message: string) => void,
) {
  for (const [shard, file] of files)
    for (const name of file.tensors.keys())
      if (weightMap.get(name) !== shard) onWarn(`${file.path}: tensor ${name} is not in the index and is ignored`);
}

function join(homes: ReadonlyMap<string, TensorFile>, index: string): TensorSource {
  const infos = [...homes].map(([name, file]) => [name, requireTensor(file.tensors, name, file.path)] as const);
  return {
    tensors: new Map(infos),
    read: async (name) => requireTensor(homes, name, index).read(name),
    readRows: async (name, start, count) => requireTensor(homes, name, index).readRows(name, start, count),
    close: async () => {
      for (const file of new Set(homes.values())) await file.close();
    },
  };
}

/**
 * Opens the shards that `model.safetensors.index.json` of a folder names. Its entries are untrusted: no shard may lie
 * outside the folder, and every tensor must be in the shard the index gives.
 * @throws CheckpointError "format", "missing" (a tensor is not in its shard), "not-found" (a shard is absent)
 */
export async function openSharded(folder: string, onWarn: (message: string) => void): Promise<TensorSource> {
  const weightMap = await readWeightMap(folder);
  const files = await openShards(folder, new Set(weightMap.values()));
  try {
    warnUnlisted(files, weightMap, onWarn);
    const homes = [...weightMap].map(([name, shard]) => [name, requireTensor(files, shard, folder)] as const);
    return join(new Map(homes), `${folder}/${indexName}`);
  } catch (error) {
    for (const file of files.values()) await file.close();
    throw error;
  }
}
