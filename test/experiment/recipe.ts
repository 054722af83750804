import { type Plan, type PlanSettings, parseRecipe, planExperiment, type Recipe } from "@safedelta/experiment";
import { stringify } from "yaml";
import { plainWords } from "../../cli/src/plainWords.ts";

/** A variable or something made, as a recipe names it. */
export const ref = (name: string) => `\${${name}}`;

/** A small experiment: a model that is given, one that is made for each seed, a grid, a rival. */
export const small = {
  title: "small",
  set: { base: "models/base" },
  seeds: [0, 1],
  make: {
    tuned: { run: "finetune", of: ref("base"), data: "task.jsonl", seed: ref("seed") },
    state: { run: "prepare", of: ref("base"), "safe-data": "safe.jsonl" },
  },
  apply: { aligned: ref("base"), tuned: ref("tuned"), state: ref("state") },
  methods: {
    tuned: { model: ref("tuned") },
    optimal: { apply: { mode: "optimal", loss: [0.01, 0.1] } },
    half: { apply: { method: "wise-ft", alpha: 0.5 } },
  },
  evaluations: {
    harm: { prompts: "harm.jsonl", metric: "asr-keywords", measures: "safety", better: "lower" },
    task: { prompts: "ask.jsonl", metric: "exact", measures: "utility", better: "higher" },
  },
} as const;

/** A recipe through the text of its file. */
export function recipeOf(value: object): Recipe {
  return parseRecipe("recipe.yaml", stringify(value), plainWords);
}

/** What lies on the machine of the tests: every .jsonl file, and the base model. */
export const files: Readonly<Record<string, string>> = {
  "models/base": "hash of base",
  "task.jsonl": "hash of task",
  "safe.jsonl": "hash of safe",
  "harm.jsonl": "hash of harm",
  "ask.jsonl": "hash of ask",
};

/** The plan of a recipe on that machine. */
export function planOf(value: object, settings: Partial<PlanSettings> & { readonly files?: typeof files } = {}): Plan {
  const hashes = settings.files ?? files;
  const all = { out: "out", stamp: "version 1", set: {}, hashOf: (word: string) => hashes[word], ...settings };
  return planExperiment(recipeOf(value), all);
}
