import { join } from "node:path";
import { type FamilyOptions, writeFamily } from "./writeFamily.ts";

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
export async function makeDemo(options: FamilyOptions): Promise<void> {
  const { out, seed } = options;
  await writeFamily(options);
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
