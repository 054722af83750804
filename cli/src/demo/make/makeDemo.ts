import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { encode, type Tensor, writeSafetensors } from "@safedelta/checkpoint";
import { expectedTensors, parseConfig, randomStream } from "@safedelta/model";
import { demoFolder } from "../story.ts";
import { demoSizes, linesOf, makeSets, type Sizes } from "./sets.ts";

/** What is made, where. */
export interface MakeOptions {
  readonly out: string;
  readonly seed: number;
  readonly sizes?: Sizes;
  /** Changes of config.json: a test makes a smaller model. */
  readonly config?: Readonly<Record<string, number>>;
}

const main = join(import.meta.dir, "..", "..", "main.ts");

/** The recipes of the two checkpoints, with the keys of the command line. */
const recipes = {
  aligned: { lr: 3e-3, schedule: "cosine", warmup: 30, beta2: 0.98, "weight-decay": 0.01, batch: 64, epochs: 1 },
  tuned: {
    train: "linears",
    lr: 6e-4,
    schedule: "cosine",
    warmup: 30,
    beta2: 0.98,
    "weight-decay": 0.01,
    batch: 32,
    epochs: 16,
  },
};

/** @throws Error when a training fails; its own words go to stderr */
export async function makeDemo({ out, seed, sizes = demoSizes, config = {} }: MakeOptions): Promise<void> {
  const at = (...names: string[]) => join(out, ...names);
  await mkdir(at("train"), { recursive: true });
  for (const [name, set] of Object.entries(makeSets(seed, sizes))) {
    const file = name.startsWith("train-") ? at("train", `${name.slice(6)}.jsonl`) : at(`${name}.jsonl`);
    await Bun.write(file, linesOf(name, set));
  }
  await writeRandomModel(at("train", "random"), seed, config);
  train(out, "train/random", "aligned", { data: "train/aligned.jsonl", ...recipes.aligned, seed });
  train(out, "aligned", "tuned", { data: "train/tuned.jsonl", ...recipes.tuned, seed });
}

/** Names are relative to the folder, so that no place of a machine comes into what is written. */
function train(cwd: string, model: string, out: string, flags: Readonly<Record<string, string | number>>): void {
  const words = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, String(value)]);
  const command = [process.execPath, main, "finetune", model, "--out", out, ...words];
  const { exitCode } = Bun.spawnSync(command, { cwd, stdout: "ignore", stderr: "inherit" });
  if (exitCode !== 0) throw new Error(`the training of ${out} ended with code ${exitCode}`);
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
    const length = shape.reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length }, () => (shape.length === 1 ? 1 : 0.02 * normal()));
    return [{ name, dtype: "F32", shape, bytes: encode(values, "F32") }];
  });
  await mkdir(folder, { recursive: true });
  await writeSafetensors(join(folder, "model.safetensors"), tensors);
  await Bun.write(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  for (const name of ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
    await cp(join(demoFolder, "aligned", name), join(folder, name));
}
