import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { makeDemo } from "../../cli/src/demo/make/makeDemo.ts";
import { demoSizes, makeSets } from "../../cli/src/demo/make/sets.ts";
import { folderHashes, scratchFolder, tinyFolder } from "../support/pico.ts";

setDefaultTimeout(120_000); // two trainings

const small = {
  sizes: { aligned: 640, notes: 60, leaks: 4, old: 10 },
  config: { hidden_size: 32, head_dim: 8, intermediate_size: 48 },
};

test("a small demo is made by our own command, the same bytes each time, and learns", async () => {
  await using scratch = await scratchFolder();
  const folders = ["one", "two"].map((name) => join(scratch.path, name));
  for (const out of folders) await makeDemo({ out, seed: 3, ...small });
  const [one, two] = await Promise.all(folders.map((folder) => folderHashes(folder)));
  for (const name of ["aligned", "tuned"]) {
    const weights = `${name}/model.safetensors`;
    expect(two[weights]).toBe(one[weights]);
    const { log } = await Bun.file(join(folders[0], name, "training.json")).json();
    expect(log.at(-1).loss).toBeLessThan(log[0].loss);
  }
  expect(one["aligned/model.safetensors"]).not.toBe(one["tuned/model.safetensors"]);
});

describe("the demo's data", () => {
  const sets = makeSets(0, demoSizes);

  test("to be asked are held out, and distinct", () => {
    const prompts = (name: string) => sets[name].map(({ prompt }) => prompt);
    for (const name of ["eval-guarded", "eval-new"]) {
      expect(new Set(prompts(name)).size).toBe(200);
      const trained = new Set([...prompts("train-aligned"), ...prompts("train-tuned"), ...prompts("safe")]);
      expect(prompts(name).filter((prompt) => trained.has(prompt))).toEqual([]);
    }
  });

  test("hold words of the tokenizer only, and fit its positions", async () => {
    const { model } = await Bun.file(join(tinyFolder, "aligned", "tokenizer.json")).json();
    for (const { prompt, answer } of Object.values(sets).flat()) {
      const words = `${prompt} > ${answer}`.split(" ");
      expect(words.length).toBeLessThan(60);
      for (const word of words) if (model.vocab[word] === undefined) throw new Error(`${word} is no word`);
    }
  });
});
