/** What the surroundings of a run say: variables, folders, and what a dry run makes of them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { folderHashes } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";
import { dataFlags, drawFlags, makeWorld, type World } from "./world.ts";

setDefaultTimeout(300_000); // children wait for their turn

let world: World;
beforeAll(async () => {
  world = await makeWorld();
  await Bun.write(world.at("file"), "mine");
});
afterAll(() => world[Symbol.asyncDispose]());

const pair = ["--aligned", "aligned", "--tuned", "tuned"];
const prepare = ["prepare", "aligned", "--safe-data", "safe.jsonl", ...dataFlags];

describe("variables of the environment", () => {
  for (const variable of ["SAFEDELTA_NATIVE_LIB", "SAFEDELTA_CUDA_LIB"]) {
    test.concurrent(`${variable}: a library that does not load is an error, an empty one is none`, async () => {
      const args = ["apply", ...pair, "--state", "state", "--dry-run", "--out", "x"];
      const wrong = await safedelta(world.path, args, { env: { [variable]: world.at("file") } });
      expect(wrong.code).toBe(2);
      expect(wrong.stderr).toMatch(new RegExp(`error: ${variable}: .*file did not load .*, or unset ${variable}`));
      await succeed(world.path, args, { env: { [variable]: "" } });
    });
  }

  test.concurrent("doctor reports a setting that cannot be, as the state of its engine", async () => {
    const env = { SAFEDELTA_THREADS: "many" };
    const { engines } = await jsonOf(world.path, ["doctor"], { env });
    const native = engines.find(({ name }: { name: string }) => name === "native");
    expect(native).toMatchObject({ usable: false, detail: expect.stringMatching(/^SAFEDELTA_THREADS is "many"/) });
    const { code, stderr } = await safedelta(world.path, ["doctor", "--engine", "wasm"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("--engine: without effect") });
  });

  test.concurrent("what is meant for every command stands where one has no use for it", async () => {
    const env = { SAFEDELTA_SEED: "3", SAFEDELTA_SAMPLES: "5", SAFEDELTA_ENGINE: "wasm", SAFEDELTA_TOP_K: "4" };
    const greedy = ["generate", "aligned", "--prompt", "a note", "--max-new-tokens", "1"];
    for (const args of [greedy, ["doctor"], ["apply", ...pair, "--state", "state", "--dry-run", "--out", "x"]])
      await succeed(world.path, args, { env });
    await Bun.write(world.at("seed.yaml"), "seed: 3\n");
    const { code, stderr } = await safedelta(world.path, [...greedy, "--recipe", "seed.yaml"], { env: {} });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("seed.yaml: seed: without effect") });
  });

  test.concurrent("a misspelt variable is warned of, one of another command is not", async () => {
    const strange = ["SAFEDELTA_SAMPELS", "SAFEDELTA_THREAD", "SAFEDELTA_CUDA_LIBDIR", "SAFEDELTA_NOTHING_NEAR"];
    const env = Object.fromEntries([...strange, "SAFEDELTA_KEEP"].map((name) => [name, "0.5"]));
    const { stderr } = await succeed(world.path, ["inspect", "state"], { env });
    const meant = ["SAMPLES", "THREADS", "CUDA_LIB_DIR"].map((name) => ` Did you mean "SAFEDELTA_${name}"?`);
    expect(stderr.trimEnd().split("\n").sort()).toEqual(
      strange.map((name, i) => `warning: ${name} in the environment has no effect.${meant[i] ?? ""}`).sort(),
    );
  });
});

describe("a dry run refuses what the run would refuse", () => {
  test.concurrent("a state that serves other modes", async () => {
    await succeed(world.path, [...prepare, "--modes", "exact", "--out", "only"]);
    const { code, stderr } = await safedelta(world.path, [
      "apply",
      ...pair,
      ...["--state", "only", "--dry-run", "--out", "x"],
    ]);
    expect(code).toBe(4);
    expect(stderr).toContain("only: holds nothing for optimal (it was prepared for exact)");
  });

  test.concurrent("a state of other settings, finished or not; what is whole already is said to be", async () => {
    const dry = [...prepare, "--modes", "reference", "--out", "standing", "--dry-run"];
    await succeed(world.path, dry.slice(0, -1));
    const before = await folderHashes(world.at("standing"));
    const [same, other, over] = await Promise.all(
      [[], ["--seed", "7"], ["--seed", "7", "--overwrite"]].map((more) => safedelta(world.path, [...dry, ...more])),
    );
    expect(same.stdout).toBe("a whole state of this is there already and was checked: standing\nnothing was written\n");
    expect(await jsonOf(world.path, dry)).toMatchObject({ dryRun: true, wasThere: true });
    const { stderr } = await safedelta(world.path, [...dry.slice(0, -1), "--seed", "7"]);
    const refusal = "error: standing: holds a state of seed 42 instead of 7. Choose another --out, or add --overwrite.";
    for (const told of [other.stderr, stderr]) expect(told).toContain(refusal);
    expect(other).toMatchObject({ code: 2, stdout: "" });
    expect(over.stdout).toContain("would write standing: ");
    expect(await folderHashes(world.at("standing"))).toEqual(before);
    await Bun.$`mkdir ${world.at("begun")} && mv ${world.at("standing")} ${world.at("begun/work")}`.quiet();
    await Bun.write(
      world.at("begun/work/job.json"),
      JSON.stringify({ data: {}, engine: {}, parts: { qkv: [], o: [], gateUp: [], down: [] } }),
    );
    const begun = await safedelta(world.path, dry.with(-2, "begun"));
    expect(begun).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("the unfinished state of another prepare"),
    });
  });

  test.concurrent("a place below a file", async () => {
    for (const args of [prepare, ["apply", ...pair, "--state", "state"]]) {
      const { code, stderr } = await safedelta(world.path, [...args, "--dry-run", "--out", "file/below"]);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/ENOTDIR.*Choose another --out/) });
    }
    expect(await Bun.file(world.at("file")).text()).toBe("mine");
  });

  test.skipIf(process.getuid?.() === 0).concurrent("a folder that may not be written", async () => {
    await Bun.$`mkdir ${world.at("closed")} && chmod 555 ${world.at("closed")}`.quiet();
    const args = ["apply", ...pair, "--state", "state", "--dry-run", "--out", "closed/x"];
    const { code, stderr } = await safedelta(world.path, args);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/EACCES.*Choose another --out/) });
  });

  test.concurrent("and it tells the method and the engine", async () => {
    const args = ["apply", ...pair, "--state", "state", "--engine", "reference", "--loss", "0.2", "--dry-run"];
    const { stdout } = await succeed(world.path, [...args, "--out", "x"]);
    expect(stdout).toContain("would repair tuned with mode optimal, --loss 0.2, on the engine reference");
    expect(await jsonOf(world.path, [...args, "--out", "x"])).toMatchObject({
      mode: "optimal",
      budget: { kind: "loss", share: 0.2 },
      engine: "reference",
    });
  });
});

describe("a run tells what it found", () => {
  test.concurrent("a demo below a file ends with the place, not as a defect", async () => {
    const { code, stderr } = await safedelta(world.path, ["demo", "--out", "file/demo"]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/file\/demo.*Choose another --out/) });
    expect(stderr).not.toContain("defect");
  });

  test.concurrent("a state that is whole already is not said to have been prepared", async () => {
    const args = [...prepare, "--modes", "optimal", "--out", "twice"];
    expect((await succeed(world.path, args)).stdout).toMatch(/^prepared aligned in /);
    expect((await succeed(world.path, args)).stdout).toMatch(/^a whole state of this is there already/);
    expect((await jsonOf(world.path, args)).wasThere).toBe(true);
  });

  test.concurrent("examples that are cut before their answer", async () => {
    const args = ["prepare", "aligned", "--safe-data", "safe.jsonl", "--samples", "20", "--system-prompts", "none"];
    const short = await safedelta(world.path, [...args, "--max-tokens", "4", "--dry-run", "--out", "x"]);
    expect(short.code).toBe(2);
    expect(short.stderr).toMatch(/20 of 20 examples are cut at 4 tokens, before their answer begins\. Give a larger/);
    const whole = await succeed(world.path, [...args, "--max-tokens", "64", "--dry-run", "--out", "x"]);
    expect(whole.stderr).not.toContain("before their answer");
  });

  test.concurrent("apply names task data beside the safe ones", async () => {
    const args = ["apply", ...pair, "--state", "state", "--task-data", "task.jsonl", ...drawFlags, "--out", "task"];
    const { stdout } = await succeed(world.path, args);
    expect(stdout).toMatch(/^ {2}safe data: 20 of 20 examples of .*safe\.jsonl/m);
    expect(stdout).toMatch(/^ {2}task data: 20 of 20 examples of task\.jsonl/m);
  });

  test.concurrent("estimate counts no more tokens than the model has positions", async () => {
    const { stderr } = await succeed(world.path, ["estimate", "aligned", "--tokens", "100000"]);
    const { tokensEach } = await jsonOf(world.path, ["estimate", "aligned", "--tokens", "100000"]);
    expect(tokensEach).toBe((await Bun.file(world.at("aligned/config.json")).json()).max_position_embeddings);
    expect(stderr).toContain(`examples are cut at the model's ${tokensEach} positions`);
  });

  test.concurrent("a pointer of Git LFS and a web page in the place of weights", async () => {
    const pages = { lfs: "version https://git-lfs.github.com/spec/v1\n", page: "<!DOCTYPE html><html></html>" };
    const says = { lfs: /pointer of Git LFS.*git lfs pull/, page: /is a web page, not weights/ };
    for (const kind of ["lfs", "page"] as const) {
      await cp(world.at("tuned"), world.at(kind), { recursive: true });
      await Bun.write(world.at(kind, "model.safetensors"), pages[kind]);
      const { code, stderr } = await safedelta(world.path, ["inspect", kind]);
      expect({ code, stderr }).toEqual({ code: 4, stderr: expect.stringMatching(says[kind]) });
    }
  });

  test.concurrent("chat --json keeps the conversations before /new", async () => {
    const args = ["chat", "aligned", "--max-new-tokens", "2", "--json"];
    const { stdout } = await succeed(world.path, args, { stdin: "one\n/new\ntwo\n" });
    const { messages, earlier } = JSON.parse(stdout);
    expect(earlier).toHaveLength(1);
    expect([earlier[0][0].content, messages[0].content]).toEqual(["one", "two"]);
  });

  test.concurrent("inspect says of a repaired model how it was made, and where its report is", async () => {
    await succeed(world.path, ["apply", ...pair, "--state", "state", "--loss", "0.2", "--out", "repaired"]);
    const lora = ["--aligned", "aligned", "--tuned", "adapter", "--out-format", "lora", "--out", "repaired-adapter"];
    await succeed(world.path, ["apply", ...lora, "--state", "state", "--loss", "0.2"]);
    for (const made of ["repaired", "repaired-adapter"]) {
      const how = "by safedelta \\S+ with mode optimal, --loss 0\\.2; check it with: .*bun.* run safedelta verify";
      const { stdout } = await succeed(world.path, ["inspect", made]);
      expect(stdout).toMatch(new RegExp(`^repaired: ${how} ${made}$`, "m"));
      expect(stdout).toContain(`report: ${join(made, "report.html")}, a page for the browser`);
      const budget = { kind: "loss", value: 0.2 };
      const report = join(made, "report.html");
      expect((await jsonOf(world.path, ["inspect", made])).repaired).toMatchObject({ mode: "optimal", budget, report });
    }
    expect(await jsonOf(world.path, ["inspect", "adapter"])).not.toHaveProperty("repaired");
    expect(await jsonOf(world.path, ["inspect", "tuned"])).not.toHaveProperty("repaired");
  });

  test.concurrent("sweep looks at its folders before the work", async () => {
    await Bun.write(world.at("mine/optimal-loss-0.1/notes.txt"), "mine");
    const args = ["sweep", ...pair, "--state", "state", "--modes", "optimal", "--loss", "0.1", "--out", "mine"];
    const { code, stdout, stderr } = await safedelta(world.path, args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("is never replaced");
  });
});

test("the commands of a card make, in a place without the state, the state and the model again", async () => {
  await cp(world.at("state"), world.at("kept"), { recursive: true });
  await succeed(world.path, ["apply", ...pair, "--state", "kept", "--mode", "reference", "--out", "made"]);
  const { command } = await Bun.file(world.at("made/safedelta.json")).json();
  await rm(world.at("kept"), { recursive: true });
  for (const line of command.split("\n")) await succeed(world.path, [...line.split(" ").slice(3), "--overwrite"]);
  expect((await jsonOf(world.path, ["verify", "made", "--state", "kept"])).ok).toBe(true);
});

test("a recipe may say yes for a flag, and names no other recipe", async () => {
  await Bun.write(world.at("yes.yaml"), "dry-run: yes\nsafe-data: safe.jsonl\nsystem-prompts: none\n");
  expect((await jsonOf(world.path, ["prepare", "aligned", "--recipe", "yes.yaml", "--out", "x"])).dryRun).toBe(true);
  await Bun.write(world.at("nested.yaml"), "recipe: yes.yaml\n");
  const { code, stderr } = await safedelta(world.path, ["doctor", "--recipe", "nested.yaml"]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("a recipe cannot name another recipe") });
});
