import { CheckpointError } from "./errors.ts";
import { type HeaderPlan, planHeader } from "./safetensors-header.ts";
import { weightsName } from "./shards.ts";
import { type TensorInfo, tensorBytes } from "./tensor.ts";

/** One file of a model to write, with every place in it known in advance. */
export interface ShardPlan {
  readonly file: string;
  readonly tensors: readonly TensorInfo[];
  readonly header: HeaderPlan;
}

/** Greedy in the order given: a shard takes tensors while they fit; one above the limit gets a shard of its own. */
function fillShards(tensors: readonly TensorInfo[], maxShardBytes: number): TensorInfo[][] {
  const shards: TensorInfo[][] = [[]];
  let filled = 0;
  for (const info of tensors) {
    const size = tensorBytes(info);
    const current = shards[shards.length - 1];
    if (current.length > 0 && filled + size > maxShardBytes) {
      shards.push([info]);
      filled = size;
    } else {
      current.push(info);
      filled += size;
    }
  }
  return shards;
}

function shardName(number: number, count: number): string {
  const five = (n: number) => String(n).padStart(5, "0");
  return count === 1 ? weightsName : `model-${five(number)}-of-${five(count)}.safetensors`;
}

function checkNames(tensors: readonly TensorInfo[]): void {
  const seen = new Set<string>();
  for (const { name } of tensors) {
    if (seen.has(name)) throw new CheckpointError("format", `tensor name ${name} occurs twice`, { tensor: name });
    seen.add(name);
  }
}

/**
 * Splits tensors into files of the Hugging Face layout: `model.safetensors`, or `model-00001-of-00003.safetensors`, ….
 * @param maxShardBytes limit on the tensor bytes of one file
 * @throws CheckpointError "format" when a name occurs twice
 */
export function planShards(
  tensors: readonly TensorInfo[],
  maxShardBytes: number,
  metadata?: Readonly<Record<string, string>>,
): ShardPlan[] {
  checkNames(tensors);
  const shards = fillShards(tensors, maxShardBytes);
  return shards.map((part, i) => ({
    file: shardName(i + 1, shards.length),
    tensors: part,
    header: planHeader(part, metadata),
  }));
}

/** The bytes of `model.safetensors.index.json`: total_size counts tensor bytes, names are sorted (as transformers writes). */
export function indexBytes(shards: readonly ShardPlan[]): Uint8Array {
  const homes = shards.flatMap(({ file, tensors }) => tensors.map(({ name }) => [name, file] as const));
  homes.sort(([a], [b]) => (a < b ? -1 : 1));
  const total_size = shards.flatMap(({ tensors }) => tensors).reduce((sum, info) => sum + tensorBytes(info), 0);
  const index = { metadata: { total_size }, weight_map: Object.fromEntries(homes) };
  return new TextEncoder().encode(`${JSON.stringify(index, null, 2)}\n`);
}
