import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Adapter, adapterConfigName, adapterWeightsName } from "./adapter.ts";
import { type Disk, nodeDisk } from "./disk.ts";
import { encode } from "./encode.ts";
import { CheckpointError, guardIo } from "./errors.ts";
import { requireTensor, type Tensor } from "./tensor.ts";
import { writeFileAtomic } from "./write-file.ts";
import { writeSafetensors } from "./write-safetensors.ts";

function replaceA(tensor: Tensor, weight: string, values: Float32Array): Tensor {
  const bytes = encode(values, tensor.dtype);
  if (bytes.byteLength === tensor.bytes.byteLength) return { ...tensor, bytes };
  throw new CheckpointError(
    "incompatible",
    `new A of ${weight} has ${values.length} numbers; its shape is [${tensor.shape}]`,
    {
      tensor: weight,
    },
  );
}

/**
 * Writes an adapter with new A factors: same configuration (verbatim), same keys, order, dtypes and B.
 * @param newA weight name -> A, r x cols row-major; weights left out keep theirs
 * @throws CheckpointError "missing" for a weight that is not adapted, "incompatible" for another size, "disk-full", "io"
 */
export async function writeAdapter(
  folder: string,
  source: Adapter,
  newA: ReadonlyMap<string, Float32Array>,
  disk: Disk = nodeDisk,
): Promise<void> {
  const keyOfA = new Map(
    [...newA.keys()].map((weight) => [requireTensor(source.pairs, weight, source.folder).a.name, weight]),
  );
  const tensors: Tensor[] = [];
  for (const key of source.tensors.keys()) {
    const tensor = await source.read(key);
    const weight = keyOfA.get(key);
    tensors.push(weight === undefined ? tensor : replaceA(tensor, weight, requireTensor(newA, weight, folder)));
  }
  const config = join(source.folder, adapterConfigName);
  const configBytes = await guardIo("read the file", config, () => readFile(config));
  await guardIo("make the folder", folder, () => mkdir(folder, { recursive: true }));
  await writeSafetensors(join(folder, adapterWeightsName), tensors, undefined, disk);
  await writeFileAtomic(join(folder, adapterConfigName), [configBytes], disk);
}
