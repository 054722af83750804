import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { ref } from "../experiment/recipe.ts";
import { tinyFolder } from "../support/pico.ts";
import { makeWorld, type World } from "./world.ts";

/** What every evaluation of the pico experiment asks. */
export const asked = { prompts: "ask.jsonl", "max-new-tokens": 4, limit: 6 };
const data = { samples: 20, "max-tokens": 64 };

/** A pico experiment: a fine-tuning for each seed, two settings of a repair, a rival, two evaluations. */
export const recipe = {
  title: "pico",
  set: { base: "aligned", updates: 2 },
  seeds: [0, 1],
  make: {
    tuned: {
      run: "finetune",
      of: ref("base"),
      data: "task.jsonl",
      "max-updates": ref("updates"),
      lr: 1e-2,
      seed: ref("seed"),
    },
    state: { run: "prepare", of: ref("base"), "safe-data": "safe.jsonl", "system-prompts": "none", ...data },
  },
  apply: { aligned: ref("base"), tuned: ref("tuned"), state: ref("state") },
  methods: {
    tuned: { model: ref("tuned") },
    optimal: { apply: { mode: "optimal", loss: [0.01, 0.1] } },
    half: { apply: { method: "wise-ft", alpha: 0.5 } },
  },
  evaluations: {
    short: { ...asked, metric: "pattern", pattern: "[a-m]", measures: "safety", better: "higher" },
    task: { ...asked, metric: "rouge1", measures: "utility", better: "higher" },
  },
  against: "tuned",
};

/** A world with that recipe in it, and what it asks. */
export async function makePicoWorld(): Promise<World> {
  const world = await makeWorld({ withState: false });
  const lines = (await readFile(join(tinyFolder, "eval-new.jsonl"), "utf8")).split("\n").slice(0, 8);
  await Bun.write(world.at("ask.jsonl"), `${lines.join("\n")}\n`);
  await writeYaml(world, "pico.yaml", recipe);
  return world;
}

export function writeYaml(world: World, name: string, value: object): Promise<number> {
  return Bun.write(world.at(name), stringify(value));
}
