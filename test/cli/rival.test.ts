/** `apply --method`: each rival from flags to files, and back from what is recorded of it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { folderHashes, writePico } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { dataFlags, largestGap, makeWorld, valuesOf, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await writePico(world.at("base"), { seed: 1, delta: { seed: 3, size: 0.03 } });
});
afterAll(() => world[Symbol.asyncDispose]());

const models = ["--aligned", "aligned", "--tuned", "tuned"];
const fromState = [...models, "--state", "state"];

/** The flags of each method, its dials as they are recorded, and what its card says. */
const methods: readonly (readonly [string, readonly string[], object, string])[] = [
  ["safe-lora", ["--unaligned", "base"], { nProjected: 10 }, "Safe LoRA, with `nProjected 10`"],
  ["safe-lora", ["--unaligned", "base", "--project-linears", "3"], { nProjected: 3 }, "`nProjected 3`"],
  ["safe-lora", ["--unaligned", "base", "--threshold", "0.2"], { threshold: 0.2 }, "`threshold 0.2`"],
  ["resta", ["--unaligned", "base"], { gamma: 1, drop: 0 }, "RESTA, with `gamma 1`, `drop 0`"],
  [
    "resta",
    ["--unaligned", "base", "--gamma", "0.5", "--drop", "0.3", "--seed", "5"],
    { gamma: 0.5, drop: 0.3, seed: 5 },
    "`drop 0.3`, `seed 5`",
  ],
  ["wise-ft", [], { alpha: 0.5 }, "WiSE-FT, with `alpha 0.5`"],
  ["negation", ["--harmful", "base"], { weight: 1 }, "Task-arithmetic negation, with `weight 1`"],
  ["random-mask", ["--keep", "0.5"], { keep: 0.5, seed: 42 }, "Random mask, with `keep 0.5`, `seed 42`"],
  ["dare", ["--drop", "0.5"], { drop: 0.5, seed: 42 }, "DARE, with `drop 0.5`, `seed 42`"],
];

describe("apply --method", () => {
  for (const [method, flags, dials, words] of methods) {
    test.concurrent([method, ...flags].join(" "), async () => {
      const out = [method, ...flags].join("").replaceAll("--", "-");
      const { stdout } = await succeed(world.path, ["apply", ...fromState, "--method", method, ...flags, "--out", out]);
      expect(stdout).toContain(`repaired tuned with ${method}`);
      const saved = await Bun.file(world.at(out, "safedelta.json")).json();
      expect(saved.rival).toEqual({ method, ...dials });
      expect([saved.mode, saved.budget]).toEqual([undefined, undefined]);
      expect(saved.totals.nLinears).toBe(14);
      expect(await Bun.file(world.at(out, "README.md")).text()).toContain(words);
      const checked = await jsonOf(world.path, ["verify", out]);
      expect(checked).toMatchObject({ ok: true, problems: [], inputsChecked: true, stateChecked: true });
      expect((await succeed(world.path, ["inspect", out])).stdout).toContain(`with ${method}; check it with`);

      const before = await folderHashes(world.at(out));
      await Bun.write(world.at(`${out}.yaml`), JSON.stringify(saved.recipe));
      await succeed(world.path, ["apply", "--recipe", `${out}.yaml`, "--overwrite"]);
      expect(await folderHashes(world.at(out))).toEqual(before);
      const again = saved.command.split("\n").at(-1).split(" ").slice(3);
      await succeed(world.path, [...again, "--overwrite"]);
      expect(await folderHashes(world.at(out))).toEqual(before);
    });
  }

  test.concurrent("the weights are those of the flags", async () => {
    await succeed(world.path, ["apply", ...fromState, "--method", "wise-ft", "--alpha", "0.25", "--out", "mixed"]);
    const [aligned, tuned] = [await valuesOf(world.at("aligned")), await valuesOf(world.at("tuned"))];
    const wanted = new Map(
      [...aligned].map(([name, values]) => [
        name,
        values.map((value, i) => 0.75 * value + 0.25 * (tuned.get(name)?.[i] ?? Number.NaN)),
      ]),
    );
    expect(largestGap(await valuesOf(world.at("mixed")), wanted)).toBeLessThan(1e-6);
  });

  test.concurrent("--method safe-delta is what apply does without it", async () => {
    const args = ["apply", ...fromState, "--loss", "0.1"];
    await succeed(world.path, [...args, "--method", "safe-delta", "--out", "named"]);
    await succeed(world.path, [...args, "--out", "unnamed"]);
    const [named, unnamed] = [await folderHashes(world.at("named")), await folderHashes(world.at("unnamed"))];
    expect(named["model.safetensors"]).toBe(unnamed["model.safetensors"]);
    expect(named["README.md"] === unnamed["README.md"]).toBe(false); // --out differs
  });

  test.concurrent("an adapter is taken as the tuned and as the harmful model", async () => {
    const args = ["apply", "--aligned", "aligned", "--tuned", "adapter", "--state", "state", "--method", "negation"];
    await succeed(world.path, [...args, "--harmful", "adapter", "--out", "undone"]);
    // tuned − 1 · (tuned − aligned)
    expect(largestGap(await valuesOf(world.at("undone")), await valuesOf(world.at("aligned")))).toBeLessThan(1e-6);
    expect(await jsonOf(world.path, ["verify", "undone"])).toMatchObject({ ok: true, stateChecked: true });
  });

  test.concurrent("--dry-run tells and writes nothing; --safe-data prepares on the way", async () => {
    const data = ["--safe-data", "safe.jsonl", ...dataFlags];
    const args = ["apply", ...models, ...data, "--method", "random-mask", "--keep", "0.5", "--seed", "3"];
    const { stdout } = await succeed(world.path, [...args, "--dry-run", "--out", "dry"]);
    expect(stdout).toContain("would repair tuned with random-mask, --keep 0.5, --seed 3");
    expect(await Bun.file(world.at("dry/safedelta.json")).exists()).toBe(false);
    const facts = await jsonOf(world.path, [...args, "--out", "on-the-way"]);
    expect(facts.rival).toEqual({ method: "random-mask", keep: 0.5 });
  });

  test.concurrent("verify finds that the third model has changed since", async () => {
    await writePico(world.at("moving"), { seed: 1, delta: { seed: 3, size: 0.03 } });
    const args = ["apply", ...fromState, "--method", "resta", "--unaligned", "moving", "--out", "moved"];
    await succeed(world.path, args);
    await writePico(world.at("moving"), { seed: 1, delta: { seed: 4, size: 0.03 } });
    const { code, stdout } = await safedelta(world.path, ["verify", "moved"]);
    expect(code).toBe(1);
    expect(stdout).toContain("problem: The third model moving has changed.");
  });
});

const wrong: readonly (readonly [readonly string[], RegExp])[] = [
  [["--method", "resta"], /--unaligned is missing/],
  [["--method", "negation", "--unaligned", "base"], /--unaligned: without effect beside --method/],
  [["--method", "wise-ft", "--gamma", "1"], /--gamma: without effect beside --method/],
  [["--method", "wise-ft", "--loss", "0.1"], /--loss: without effect beside --method/],
  [["--method", "wise-ft", "--mode", "exact"], /--mode: without effect beside --method/],
  [["--method", "wise-ft", "--task-data", "task.jsonl"], /--task-data: without effect beside --method/],
  [["--method", "wise-ft", "--seed", "3"], /--seed: without effect beside --state/],
  [
    ["--method", "wise-ft", "--out-format", "lora"],
    /--out-format lora works with --method safe-delta, not with wise-ft/,
  ],
  [["--method", "wise-ft", "--alpha", "2"], /alpha must lie in 0 … 1, but is 2/],
  [["--method", "random-mask"], /--keep is missing/],
  [["--method", "dare"], /--drop is missing/],
  [["--method", "dare", "--drop", "1"], /drop must lie in 0 … 1, 1 left out, but is 1/],
  [["--method", "safe-delta", "--alpha", "1"], /--alpha: without effect beside --method/],
  [["--alpha", "1"], /--alpha needs --method wise-ft/],
  [["--drop", "0.1"], /--drop needs --method resta or dare/],
  [["--unaligned", "base"], /--unaligned needs --method safe-lora or resta/],
  [
    ["--method", "safe-lora", "--unaligned", "base", "--threshold", "0.5", "--project-linears", "3"],
    /Give --threshold or --project-linears, not both/,
  ],
];

describe("flags that do not go together end with code 2", () => {
  for (const [flags, message] of wrong) {
    test.concurrent(flags.join(" "), async () => {
      const { code, stderr } = await safedelta(world.path, ["apply", ...fromState, ...flags, "--out", "refused"]);
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
    });
  }

  test.concurrent("a flag wins over what a recipe says of another method", async () => {
    await Bun.write(world.at("rival.yaml"), "method: resta\nunaligned: base\ngamma: 0.5\nthreshold: 0.1\n");
    const args = ["apply", ...fromState, "--recipe", "rival.yaml", "--method", "wise-ft", "--out", "by-flag"];
    expect((await jsonOf(world.path, args)).rival).toEqual({ method: "wise-ft", alpha: 0.5 });
  });
});
