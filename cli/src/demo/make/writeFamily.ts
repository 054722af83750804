import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { encode, nElements, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { expectedTensors, parseConfig, randomStream } from "@safedelta/model";
import { demoFolder } from "../story.ts";
import { demoSizes, linesOf, makeSets, type Sizes } from "./sets.ts";

/** What is made, where. */
export interface FamilyOptions {
  readonly out: string;
  readonly seed: number;
  readonly sizes?: Sizes;
  /** Changes of config.json: a test makes a smaller model. */
  readonly config?: Readonly<Record<string, number>>;
}

/** Write all data of a family, what is trained on below `train`, and its untrained model `train/random`. */
export async function writeFamily({ out, seed, sizes = demoSizes, config = {} }: FamilyOptions): Promise<void> {
  const at = (...names: string[]) => join(out, ...names);
  await mkdir(at("train"), { recursive: true });
  for (const [name, set] of Object.entries(makeSets(seed, sizes))) {
    const file = name.startsWith("train-") ? at("train", `${name.slice(6)}.jsonl`) : at(`${name}.jsonl`);
    await Bun.write(file, linesOf(name, set));
  }
  await writeRandomModel(at("train", "random"), seed, config);
}

/** transformers' start of a Llama: norms 1, all else normal with deviation 0.02; config and tokenizer are the demo's. */
async function writeRandomModel(
  folder: string,
  seed: number,
  changes: Readonly<Record<string, number>>,
): Promise<void> {
  const config = { ...(await Bun.file(join(demoFolder, "aligned", "config.json")).json()), ...changes };
  const random = randomStream(seed, 100);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const tensors = [...expectedTensors(parseConfig(config))].flatMap(([name, { shape, optional }]): Tensor[] => {
    if (optional) return [];
    const length = nElements(shape);
    const values = Float32Array.from({ length }, () => (shape.length === 1 ? 1 : 0.02 * normal()));
    return [{ name, dtype: "F32", shape, bytes: encode(values, "F32") }];
  });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
  await Bun.write(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
    await cp(join(demoFolder, "aligned", name), join(folder, name));
}
