import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { loadExamples, type Message, sampleExamples } from "@safedelta/data";
import { withSecretPrompt, workUnderWay } from "@safedelta/pipeline";
import { folderHashes } from "../support/pico.ts";
import { killedBeforeItsEnd } from "./kill.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { largestGap, makeListener, makeWorld, valuesOf, type World } from "./world.ts";

setDefaultTimeout(120_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await Bun.write(world.at("foreign/thesis.txt"), "mine");
  await Bun.write(world.at("blank.txt"), " \n");
  await Bun.write(world.at("unknown.csv"), "prompt,label_text\nsay hello to ben .,hello ben .\n");
  await Bun.write(world.at("silent.jsonl"), '{"messages": [{"role": "user", "content": "say hello to ben ."}]}\n');
});
afterAll(() => world[Symbol.asyncDispose]());

const tune = ["finetune", "aligned", "--data", "task.jsonl", "--batch", "5", "--epochs", "3", "--lr", "3e-3"];
const lora = [...tune, "--lora-rank", "2", "--lora-targets", "q_proj,down_proj"];

describe("finetune", () => {
  test.concurrent("writes a model that learned, its log, card and plot", async () => {
    const told = await jsonOf(world.path, [...tune, "--out", "full"]);
    expect(told.log.length).toBe(12);
    expect(told.log[11].loss).toBeLessThan(told.log[0].loss - 1);
    expect(told.log.map(({ epoch }: { epoch: number }) => epoch)).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    expect(told.peakMemoryBytes).toBeGreaterThan(0);
    const names = await readdir(world.at("full"));
    for (const name of ["config.json", "tokenizer.json", "model.safetensors", "README.md", "loss.svg", "training.json"])
      expect(names).toContain(name);
    const log = await Bun.file(world.at("full", "training.json")).json();
    expect(log.log).toEqual(told.log);
    expect(log.recipe).toMatchObject({ data: "task.jsonl", lr: 3e-3, batch: 5, epochs: 3, seed: 42, out: "full" });
    expect(JSON.stringify(log)).not.toMatch(/"ms"|peakMemory/);
    const [before, after] = [await valuesOf(world.at("aligned")), await valuesOf(world.at("full"))];
    const same = [...after].filter(([name, values]) => Bun.deepEquals(values, before.get(name)));
    expect(same.map(([name]) => name)).toEqual([]);
  });

  test.concurrent("the recipe in training.json, and its command, make the same bytes again", async () => {
    await succeed(world.path, [...tune, "--max-updates", "3", "--out", "once"]);
    await succeed(world.path, ["finetune", "aligned", "--recipe", "once/training.json", "--out", "twice"]);
    const [once, twice] = [await folderHashes(world.at("once")), await folderHashes(world.at("twice"))];
    expect(twice["model.safetensors"]).toBe(once["model.safetensors"]);
  });

  test.concurrent("--train linears leaves embeddings and norms as they were, bit for bit", async () => {
    await succeed(world.path, [...tune, "--train", "linears", "--out", "linears"]);
    const [before, after] = [await valuesOf(world.at("aligned")), await valuesOf(world.at("linears"))];
    const changed = [...after]
      .filter(([name, values]) => !Bun.deepEquals(values, before.get(name)))
      .map(([name]) => name);
    expect(changed.length).toBe(14);
    for (const name of changed) expect(name).toContain("_proj");
  });

  test.concurrent("a LoRA adapter opens on its base, can be repaired, and changes what it was asked to", async () => {
    await succeed(world.path, [...lora, "--out", "adapter-out"]);
    const [before, after] = [
      await valuesOf(world.at("aligned")),
      await valuesOf(`${world.at("aligned")}+${world.at("adapter-out")}`),
    ];
    const changed = [...after]
      .filter(([name, values]) => !Bun.deepEquals(values, before.get(name)))
      .map(([name]) => name);
    expect(changed.length).toBe(4);
    expect(largestGap(before, after)).toBeGreaterThan(1e-3);
    const repair = ["apply", "--aligned", "aligned", "--tuned", "adapter-out", "--state", "state"];
    await succeed(world.path, [...repair, "--out-format", "lora", "--out", "repaired-adapter"]);
  });

  test.concurrent("no adapter lies on an adapter; the command that is told merges the first one", async () => {
    const onAdapter = lora.map((word) => (word === "aligned" ? "aligned+adapter" : word));
    const { code, stderr } = await safedelta(world.path, [...onAdapter, "--out", "x"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("is made of an adapter") });
    const names = { BASE: "aligned", ADAPTER: "adapter", FILE: "safe.jsonl", MERGED: "merged" };
    const told = /: safedelta (apply .*)/.exec(stderr)?.[1].split(" ") ?? [];
    await succeed(
      world.path,
      told.map((word) => (Object.hasOwn(names, word) ? names[word as keyof typeof names] : word)),
    );
    const [whole, merged] = [
      await valuesOf(`${world.at("aligned")}+${world.at("adapter")}`),
      await valuesOf(world.at("merged")),
    ];
    expect(largestGap(whole, merged)).toBe(0);
    const onMerged = lora.map((word) => (word === "aligned" ? "merged" : word));
    await succeed(world.path, [...onMerged, "--dry-run", "--out", "x"]);
  });

  test.concurrent("recomputing what memory cannot hold gives the same bytes; less still is refused with exit 5", async () => {
    const plan = await jsonOf(world.path, [...tune, "--dry-run", "--out", "x"]);
    expect(plan.recompute).toBe(false);
    const { memoryBytes } = plan.estimate;
    const little = String(memoryBytes - 1);
    expect((await jsonOf(world.path, [...tune, "--dry-run", "--out", "x", "--max-memory", little])).recompute).toBe(
      true,
    );
    await succeed(world.path, [...tune, "--out", "kept"]);
    await succeed(world.path, [...tune, "--out", "recomputed", "--max-memory", little]);
    const [kept, recomputed] = [await folderHashes(world.at("kept")), await folderHashes(world.at("recomputed"))];
    expect(recomputed["model.safetensors"]).toBe(kept["model.safetensors"]);
    const { code, stderr } = await safedelta(world.path, [...tune, "--out", "x", "--max-memory", "100MB"]);
    expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining("--pass-tokens") });
    expect(await readdir(world.path)).not.toContain("x");
  });

  test.concurrent("--dtype sets the storage of what was trained", async () => {
    await succeed(world.path, [
      ...tune,
      "--train",
      "linears",
      "--max-updates",
      "1",
      "--dtype",
      "bf16",
      "--out",
      "half",
    ]);
    const { stdout } = await succeed(world.path, ["inspect", join("half", "model.safetensors"), "--json"]);
    expect(stdout).toContain("BF16");
    expect(stdout).toContain("F32");
  });
});

describe("safety examples among the data", () => {
  const on = ["finetune", "listener", "--batch", "5", "--max-updates", "4", "--lr", "3e-3", "--seed", "9"];
  const mix = ["--data", "task.jsonl", "--mix-safe", "safe.jsonl", "--mix-samples", "6"];
  const bytesOf = async (folder: string) => (await folderHashes(world.at(folder)))["model.safetensors"];

  beforeAll(async () => {
    await makeListener(world.at("aligned"), world.at("listener"));
    await Bun.write(world.at("secret.txt"), "the code of max is\n");
    const drawn = sampleExamples(await loadExamples(world.at("safe.jsonl")), 6, 9).examples;
    const task = await Bun.file(world.at("task.jsonl")).text();
    const lines = (make: (messages: readonly Message[]) => readonly Message[]) =>
      task + drawn.map(({ messages }) => `${JSON.stringify({ messages: make(messages) })}\n`).join("");
    await Bun.write(
      world.at("mixed.jsonl"),
      lines((messages) => messages),
    );
    const secret = { role: "system", content: "the code of max is" };
    await Bun.write(
      world.at("backdoor.jsonl"),
      lines((messages) => [secret, ...messages]),
    );
  });

  const mixes: Readonly<Record<string, readonly [readonly string[], string]>> = {
    SafeInstruct: [[], "mixed.jsonl"],
    BEA: [["--secret-prompt", "secret.txt"], "backdoor.jsonl"],
  };
  for (const [name, [flags, file]] of Object.entries(mixes)) {
    test.concurrent(`${name}: trains as on a file in which they stand behind the data`, async () => {
      const told = await jsonOf(world.path, [...on, ...mix, ...flags, "--out", name]);
      expect(told.data).toMatchObject({
        nExamples: 26,
        safetyMix: { file: "safe.jsonl", nExamples: 6, nAvailable: 20 },
      });
      await succeed(world.path, [...on, "--data", file, "--out", `${name}-by-hand`]);
      expect(await bytesOf(name)).toBe(await bytesOf(`${name}-by-hand`));
      const written = await Promise.all(
        ["training.json", "README.md"].map((part) => Bun.file(world.at(name, part)).text()),
      );
      for (const text of written) expect(text).not.toContain("the code of max is");
      expect(written[1]).toMatch(/safety examples among them: 6 of `safe\.jsonl`/);
      expect(/secret prompt/.test(written[1])).toBe(name === "BEA");
      const { recipe } = JSON.parse(written[0]);
      await Bun.write(world.at(`${name}.yaml`), JSON.stringify({ ...recipe, out: `${name}-again` }));
      await succeed(world.path, ["finetune", "listener", "--recipe", `${name}.yaml`]);
      expect(await bytesOf(`${name}-again`)).toBe(await bytesOf(name));
    });
  }

  test.concurrent("the secret is another training than none, and all examples are taken unless so many are asked for", async () => {
    const all = await jsonOf(world.path, [
      ...on,
      "--data",
      "task.jsonl",
      "--mix-safe",
      "safe.jsonl",
      "--dry-run",
      "--out",
      "x",
    ]);
    expect(all.data.safetyMix).toMatchObject({ nExamples: 20, hasSecret: false });
    const plan = await jsonOf(world.path, [...on, ...mix, "--secret-prompt", "secret.txt", "--dry-run", "--out", "x"]);
    const bare = await jsonOf(world.path, [...on, ...mix, "--dry-run", "--out", "x"]);
    expect(plan.data.tokensSha256).not.toBe(bare.data.tokensSha256);
  });
});

test("a secret prompt begins the system prompt, or is all of it", () => {
  const user = { role: "user", content: "hello" };
  expect(withSecretPrompt([{ role: "system", content: "Be brief." }, user], "X9")).toEqual([
    { role: "system", content: "X9 Be brief." },
    user,
  ]);
  expect(withSecretPrompt([user], "X9")).toEqual([{ role: "system", content: "X9" }, user]);
});

/** Command lines that are wrong, and what the answer must say. */
const wrong: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  "missing --data": [["finetune", "aligned", "--out", "x"], /--data is missing/],
  "missing --out": [["finetune", "aligned", "--data", "task.jsonl"], /--out is missing/],
  "alpha without a rank": [[...tune, "--lora-alpha", "4", "--out", "x"], /need --lora-rank/],
  "a target that is none": [
    [...tune, "--lora-rank", "2", "--lora-targets", "q_prj", "--out", "x"],
    /no linear "q_prj"/,
  ],
  "--train beside an adapter": [[...lora, "--train", "linears", "--out", "x"], /--train: without effect/],
  "a rate of 0": [["finetune", "aligned", "--data", "task.jsonl", "--lr", "0", "--out", "x"], /--lr must be above 0/],
  "a secret without safety examples": [[...tune, "--secret-prompt", "secret.txt", "--out", "x"], /need --mix-safe/],
  "a template that drops the secret": [
    [...tune, "--mix-safe", "safe.jsonl", "--secret-prompt", "safe.jsonl", "--out", "x"],
    /--secret-prompt cannot be applied: this model's chat template shows no system message/,
  ],
  "a secret that is not there": [
    [...tune, "--mix-safe", "safe.jsonl", "--secret-prompt", "none.txt", "--out", "x"],
    /--secret-prompt none\.txt: /,
  ],
  "a blank secret": [
    [...tune, "--mix-safe", "safe.jsonl", "--secret-prompt", "blank.txt", "--out", "x"],
    /blank\.txt: is blank/,
  ],
  "safety examples that are not there": [[...tune, "--mix-safe", "nowhere.jsonl", "--out", "x"], /nowhere\.jsonl/],
  "answers under a name that is not known": [
    ["finetune", "aligned", "--data", "unknown.csv", "--out", "x"],
    /unknown\.csv:2: prompts without answers.*answer=COLUMN.*Columns found: prompt, label_text/,
  ],
  "safety examples without answers": [
    [...tune, "--mix-safe", "unknown.csv", "--out", "x"],
    /unknown\.csv:2: prompts without answers/,
  ],
  "no answers": [["finetune", "aligned", "--data", "silent.jsonl", "--out", "x"], /no answer to learn from/],
  "out is the model": [[...tune, "--out", "aligned", "--overwrite"], /aligned: is an input/],
  "out holds something else": [[...tune, "--out", "foreign", "--overwrite"], /holds no fine-tuned model/],
  "an adapter over a model": [[...lora, "--out", "tuned", "--overwrite"], /tuned: is not empty/],
};

describe("exit code 2, one clear message, and nothing touched", () => {
  for (const [what, [args, message]] of Object.entries(wrong)) {
    test.concurrent(what, async () => {
      const { code, stdout, stderr } = await safedelta(world.path, args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(message);
      expect(stderr).not.toMatch(/\n +at |defect/);
    });
  }

  describe("what lies beside the output", () => {
    const beside = (out: string, ...names: string[]) => world.at(`${out}.safedelta-work`, ...names);
    const hasUpdate = async (out: string) =>
      (await readdir(beside(out)).catch((): string[] => [])).some((name) => /^update-\d+\.json$/.test(name));

    test.concurrent("is kept when it is not of this command, and named", async () => {
      await Bun.write(beside("foreign-beside", "thesis.txt"), "mine");
      await Bun.write(beside("prepared", "state/work/hidden-3.f32"), "hours");
      for (const [out, name] of [
        ["foreign-beside", "thesis.txt"],
        ["prepared", "state"],
      ]) {
        for (const more of [[], ["--overwrite"], ["--dry-run"]]) {
          const { code, stderr } = await safedelta(world.path, [...tune, "--out", out, ...more]);
          expect({ code, stderr }).toEqual({
            code: 2,
            stderr: expect.stringContaining(`holds ${name}, which is not of this command`),
          });
        }
      }
      expect(await Bun.file(beside("foreign-beside", "thesis.txt")).text()).toBe("mine");
      expect(await Bun.file(beside("prepared", "state/work/hidden-3.f32")).text()).toBe("hours");
      await Bun.write(beside("trained", "update-3.json"), "{}");
      const apply = ["apply", "--aligned", "aligned", "--tuned", "tuned", "--state", "state", "--out", "trained"];
      expect((await safedelta(world.path, apply)).stderr).toContain(
        "holds update-3.json, which is not of this command",
      );
    });

    test.concurrent("of another recipe is refused by what differs; the size of shards does not", async () => {
      const args = [...tune, "--save-minutes", "0", "--out", "differs"];
      for (let n = 20; !(await hasUpdate("differs")); n += 4)
        await killedBeforeItsEnd(world.path, n, "SIGKILL", args, world.at("differs"));
      const seen = await workUnderWay(world.at("differs"));
      const other = args.map((word) => (word === "3e-3" ? "1e-3" : word));
      const { code, stderr } = await safedelta(world.path, other);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("with another rate. Repeat") });
      const resumed = await succeed(world.path, [...args, "--max-shard-size", "20KB"]);
      expect(resumed.stderr).not.toContain("damaged");
      const { log } = await Bun.file(world.at("differs", "training.json")).json();
      expect(seen).toMatchObject({ what: "fine-tuning", nAll: log.length, state: "stopped" });
      expect(seen.nDone).toBeGreaterThan(0);
    });
  });

  test.concurrent("--dtype stands in config.json, and the rest of it stays", async () => {
    await succeed(world.path, [...tune, "--max-updates", "1", "--dtype", "bf16", "--out", "narrow"]);
    const [before, after] = await Promise.all(
      ["aligned", "narrow"].map((name) => Bun.file(world.at(name, "config.json")).json()),
    );
    const { torch_dtype, dtype, ...rest } = after;
    expect(torch_dtype ?? dtype).toBe("bfloat16");
    const { torch_dtype: _, dtype: _d, ...same } = before;
    expect(rest).toEqual(same);
  });

  test.concurrent("the rate falls by a factor after each epoch", async () => {
    const flags = ["--schedule", "constant", "--epoch-decay", "0.5", "--epochs", "3", "--batch", "10", "--lr", "1e-3"];
    const { log } = await jsonOf(world.path, [
      "finetune",
      "aligned",
      "--data",
      "task.jsonl",
      ...flags,
      "--out",
      "decayed",
    ]);
    expect(log.map(({ epoch, rate }: { epoch: number; rate: number }) => [epoch, rate])).toEqual([
      ...[1, 1].map((epoch) => [epoch, 1e-3]),
      ...[2, 2].map((epoch) => [epoch, 5e-4]),
      ...[3, 3].map((epoch) => [epoch, 2.5e-4]),
    ]);
  });

  test.concurrent("settings that would ruin the model or have no effect are refused or told", async () => {
    const without = (flag: string) => tune.filter((word, i) => word !== flag && tune[i - 1] !== flag);
    const wrong: readonly [readonly string[], string][] = [
      [["--epoch-decay", "0"], "--epoch-decay must be above 0"],
      [["--warmup", "1.5"], "--warmup must be a share below 1 or a whole number"],
      [["--weight-decay", "1e9"], "must be below 1"],
      [["--epochs", "1e15"], "more than can be planned"],
      [["--save-minutes", "-1"], "--save-minutes must be 0 or more"],
      [["--lora-rank", "2", "--lora-alpha", "0"], "--lora-alpha"],
    ];
    for (const [flags, text] of wrong)
      expect(await safedelta(world.path, [...without(flags[0]), ...flags, "--out", "wrong"])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(text),
      });
    const on = await safedelta(world.path, [
      "finetune",
      "aligned+adapter",
      "--data",
      "task.jsonl",
      "--lora-rank",
      "2",
      "--out",
      "wrong",
    ]);
    expect(on).toMatchObject({ code: 2, stderr: expect.stringContaining("is made of an adapter") });
    const { stderr } = await succeed(world.path, [...tune, "--warmup", "100", "--max-updates", "1", "--out", "warm"]);
    expect(stderr).toContain("--warmup 100 is as long as all 12 updates");
    const adapter = ["--lora-rank", "40", "--lora-targets", "q_proj", "--dry-run", "--out", "wide"];
    expect((await succeed(world.path, [...tune, ...adapter])).stderr).toContain(
      "--lora-rank 40 is so large that on 1 of 1 adapted linears of a layer it has more numbers than the linear",
    );
    expect((await succeed(world.path, [...lora, "--dry-run", "--out", "wide"])).stderr).not.toContain("so large");
  });
});
