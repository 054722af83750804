import { type Disk, nodeDisk } from "./disk.ts";
import { CheckpointError } from "./errors.ts";
import { checkTensorSize, planHeader } from "./safetensors-header.ts";
import { type Tensor, type TensorInfo, tensorBytes } from "./tensor.ts";
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

/**
 * As `writeSafetensors`, of tensors whose bytes are made piece by piece when they are written, so that memory holds a piece only.
 * @param piecesOf the bytes of a tensor in order, called once for each
 * @returns sha256 of the file, in hex
 */
export async function streamSafetensors(
  path: string,
  tensors: readonly TensorInfo[],
  piecesOf: (info: TensorInfo) => Iterable<Uint8Array>,
  disk: Disk = nodeDisk,
): Promise<string> {
  const header = planHeader(tensors);
  const hasher = new Bun.CryptoHasher("sha256");
  const hashed = (bytes: Uint8Array) => {
    hasher.update(bytes);
    return bytes;
  };
  await writeFileAtomic(path, parts(), disk);
  return hasher.digest("hex");

  function* parts(): Generator<Uint8Array> {
    yield hashed(header.bytes);
    for (const info of tensors) {
      let left = tensorBytes(info);
      for (const bytes of piecesOf(info)) {
        left -= bytes.byteLength;
        yield hashed(bytes);
      }
      if (left !== 0) throw new CheckpointError("format", `tensor ${info.name}: ${left} bytes are missing or too many`);
    }
  }
}
