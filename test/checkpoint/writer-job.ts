import { createWriter, type Disk, hashTensorBytes, nodeDisk } from "@safedelta/checkpoint";
import { json, randomTensor } from "./tools.ts";

/** A small model in several shards; one tensor is above the shard limit. */
export const jobTensors = [
  randomTensor("b.weight", [40, 30], 1),
  randomTensor("a.weight", [7, 9], 2, "BF16"),
  randomTensor("big.weight", [100, 60], 3),
  randomTensor("empty", [0, 4], 4),
  randomTensor("z.weight", [33], 5, "F16"),
  randomTensor("y.weight", [50, 40], 6),
];

export const jobExtra = new Map([
  ["config.json", json({ model_type: "llama" })],
  ["README.md", new TextEncoder().encode("# card\n")],
]);

export const jobPlan = { tensors: jobTensors, maxShardBytes: 9000, fingerprint: "job", overwrite: false };

/** What the job keeps with a tensor. */
export function noteOf(name: string, bytes: Uint8Array) {
  return { sha256: hashTensorBytes(bytes), of: name };
}

/** The whole job, or what is left of it: every tensor that is not done, then the end. `onStep` hears of each beginning. */
export async function runJob(out: string, disk: Disk = nodeDisk, plan = jobPlan, onStep = () => {}): Promise<void> {
  const writer = await createWriter(out, plan, disk);
  try {
    for (const { name, bytes } of jobTensors) {
      onStep();
      if (!writer.done.has(name)) await writer.write(name, bytes, noteOf(name, bytes));
    }
    onStep();
    await writer.finish(jobExtra);
  } finally {
    await writer.abort();
  }
}

if (import.meta.main) await runJob(process.argv[2], nodeDisk, jobPlan, () => console.log("step"));
