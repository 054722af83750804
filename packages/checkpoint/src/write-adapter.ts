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

/** A LoRA adapter that was trained here. */
export interface NewAdapter {
  /** The base model, for PEFT to find it again. */
  readonly base: string;
  readonly rank: number;
  readonly alpha: number;
  /** Last parts of the module names: `q_proj`, …. */
  readonly targets: readonly string[];
  /** Of each adapted weight (`model.….q_proj.weight`): A rank x inputs, B outputs x rank, row-major. */
  readonly factors: ReadonlyMap<string, { readonly a: Float32Array; readonly b: Float32Array }>;
}

/**
 * Writes an adapter folder as PEFT's `save_pretrained` does, its factors in F32; the configuration comes last.
 * @throws CheckpointError "disk-full", "io"
 */
export async function writeNewAdapter(folder: string, adapter: NewAdapter, disk: Disk = nodeDisk): Promise<void> {
  const { base, rank, alpha, targets, factors } = adapter;
  const tensors = [...factors].flatMap(([weight, { a, b }]): Tensor[] => {
    const key = `base_model.model.${weight.replace(/\.weight$/, "")}`;
    return [
      { name: `${key}.lora_A.weight`, dtype: "F32", shape: [rank, a.length / rank], bytes: encode(a, "F32") },
      { name: `${key}.lora_B.weight`, dtype: "F32", shape: [b.length / rank, rank], bytes: encode(b, "F32") },
    ];
  });
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    target_modules: targets,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
  };
  await guardIo("make the folder", folder, () => mkdir(folder, { recursive: true }));
  await writeSafetensors(join(folder, adapterWeightsName), tensors, undefined, disk);
  const text = new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
  await writeFileAtomic(join(folder, adapterConfigName), [text], disk);
}
