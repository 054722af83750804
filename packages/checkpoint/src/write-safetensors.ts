import { type Disk, nodeDisk } from "./disk.ts";
import { checkTensorSize, planHeader } from "./safetensors-header.ts";
import type { Tensor } from "./tensor.ts";
import { writeFileAtomic } from "./write-file.ts";

/**
 * Writes one safetensors file with the tensors in the order given; `{"format":"pt"}` is always in its metadata.
 * Temporary name, fsync, rename: after a failure nothing of that name looks finished.
 * @throws CheckpointError "disk-full", "io", or "format" when bytes do not fit dtype and shape or a name occurs twice
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly Tensor[],
  metadata?: Readonly<Record<string, string>>,
  disk: Disk = nodeDisk,
): Promise<void> {
  for (const tensor of tensors) checkTensorSize(tensor, tensor.bytes);
  const header = planHeader(tensors, metadata);
  await writeFileAtomic(path, [header.bytes, ...tensors.map((tensor) => tensor.bytes)], disk);
}
