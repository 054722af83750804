import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { loadExamples } from "@safedelta/data";
import { lockFolder } from "@safedelta/pipeline";
import { FakeHub } from "../checkpoint/fake-hub.ts";
import { parquet } from "../data/published.ts";
import { scratchFolder, tinyFolder } from "../support/pico.ts";
import { jsonOf, type RunOptions, safedelta, succeed } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

let folder: Awaited<ReturnType<typeof scratchFolder>>;
const at = (name: string) => join(folder.path, name);
beforeAll(async () => {
  folder = await scratchFolder();
  const rows = (n: number, make: (i: number) => object) =>
    Array.from({ length: n }, (_, i) => `${JSON.stringify(make(i))}\n`).join("");
  await Bun.write(
    at("a.jsonl"),
    rows(30, (i) => ({ instruction: `ask ${i}`, output: `say ${i}` })),
  );
  await Bun.write(at("goals.csv"), "goal,label\nsow,good\nreap,bad\n");
  await Bun.write(
    at("bad.jsonl"),
    rows(3, (i) => ({ prompt: `secret ${i}`, response: "hush" })),
  );
});
afterAll(() => folder[Symbol.asyncDispose]());
const run = (args: readonly string[], options?: RunOptions) => succeed(folder.path, ["data", ...args], options);
const json = (args: readonly string[], options?: RunOptions) => jsonOf(folder.path, ["data", ...args], options);
const fault = async (args: readonly string[], options?: RunOptions) => {
  const { code, stderr } = await safedelta(folder.path, ["data", ...args], options);
  return { code, stderr };
};

/** A Hub that holds GSM8K's test split. */
function gsm8k(token?: string) {
  const sums = parquet({ question: ["2 + 3?", "2 + 4?"], answer: ["So\n#### 5", "So\n#### 6"] });
  const files = new Map([["main/test-00000-of-00001.parquet", sums]]);
  return new FakeHub("openai/gsm8k", "0123456789abcdef0123456789abcdef01234567", files, token, "dataset");
}
const online = (hub: FakeHub, cache: string) => ({
  env: { HF_ENDPOINT: hub.url, HF_HUB_CACHE: at(cache), HF_HUB_OFFLINE: "", HF_TOKEN: "" },
});

describe("ls", () => {
  test.concurrent("lists all by name, and everything of one", async () => {
    const { stdout } = await run(["ls"]);
    for (const name of ["purebad", "aoa", "samsum", "dirty-summary", "gsm8k", "alpaca", "beavertails"])
      expect(stdout).toMatch(new RegExp(`^${name} `, "m"));
    expect((await json(["ls"])).length).toBe(13);
    expect((await run(["ls", "hex-phi"])).stdout).toMatch(/licence +its own agreement: gated, no copy/);
    expect(await fault(["ls", "hexphi"])).toEqual({
      code: 2,
      stderr: expect.stringContaining('Did you mean "hex-phi"?'),
    });
  });
});

describe("show", () => {
  test.concurrent("prints conversations with their place", async () => {
    const { stdout } = await run(["show", "a.jsonl", "--limit", "2"]);
    expect(stdout).toStartWith("a.jsonl:1\nuser: ask 0\nassistant: say 0\n\na.jsonl:2\n");
    expect(stdout).toContain("2 of 30 records of a.jsonl");
  });

  test.concurrent("takes columns, values and a template", async () => {
    const { examples, nExamples } = await json(["show", "goals.csv#prompt=goal,where.label=bad,template=base"]);
    expect(nExamples).toBe(1);
    expect(examples[0].messages.map(({ role }: { role: string }) => role)).toEqual(["system", "user"]);
    expect(examples[0].messages[1].content).toBe("reap");
    expect(await fault(["show", "goals.csv"])).toEqual({
      code: 2,
      stderr: expect.stringContaining("Say which is which (FILE#prompt=COLUMN,answer=COLUMN)"),
    });
  });

  test.concurrent("hides what may do harm until it is asked for", async () => {
    for (const more of [[], ["--json"]]) {
      const hidden = await run(["show", "purebad=bad.jsonl", ...more]);
      expect(hidden.stdout).not.toContain("secret");
      expect(hidden.stdout).not.toContain("hush");
      expect(hidden.stdout).toContain("[8 characters]");
    }
    expect((await run(["show", "purebad=bad.jsonl", "--show-harmful"])).stdout).toContain("user: secret 0");
  });

  test.concurrent("fetches from the Hub once; offline, it says what to do", async () => {
    using hub = gsm8k();
    const options = online(hub, "cache");
    const { stdout } = await run(["show", "gsm8k/test#template=none"], options);
    expect(stdout).toContain("user: 2 + 3?\nassistant: So\n#### 5\nreference: 5");
    const requests = hub.requests.length;
    expect(requests).toBeGreaterThan(0);
    await run(["show", "gsm8k/test", "--offline"], options);
    expect(hub.requests.length).toBe(requests);
    expect(await fault(["show", "gsm8k/train", "--offline"], options)).toEqual({
      code: 4,
      stderr: expect.stringContaining("run once without --offline"),
    });
  });

  test.concurrent("of a gated data set tells of the token and the page", async () => {
    using hub = gsm8k("hf_right");
    const { code, stderr } = await fault(["show", "gsm8k/test"], online(hub, "gated"));
    expect(code).toBe(4);
    expect(stderr).toContain(
      `set HF_TOKEN if it is private or gated (its conditions are accepted on ${hub.url}/datasets/openai/gsm8k)`,
    );
  });
});

describe("mix", () => {
  test.concurrent("draws, shuffles and writes by the seed; what it wrote is a source again", async () => {
    const mix = (out: string, seed: string) =>
      json(["mix", "a.jsonl:7", "purebad=bad.jsonl:2", "--seed", seed, "--out", out]);
    const first = await mix("m1.jsonl", "0");
    expect(first.sources).toEqual([
      { source: "a.jsonl", n: 7, of: 30 },
      { source: "purebad=bad.jsonl", n: 2, of: 3 },
    ]);
    expect((await mix("m2.jsonl", "0")).sha256).toBe(first.sha256);
    expect((await mix("m3.jsonl", "1")).sha256).not.toBe(first.sha256);
    const mixed = await loadExamples(at("m1.jsonl"));
    expect(mixed.length).toBe(9);
    expect(mixed.filter(({ messages }) => messages[0].role === "system").length).toBe(2);
    expect(await Bun.file(at("m2.jsonl")).text()).toBe(await Bun.file(at("m1.jsonl")).text());
  });

  test.concurrent("never replaces a file unasked, an input never, and asks for no more than there is", async () => {
    await Bun.write(at("there.jsonl"), "mine");
    expect((await fault(["mix", "a.jsonl", "--out", "there.jsonl"])).stderr).toContain("is there already");
    expect((await fault(["mix", "a.jsonl:2", "--out", "./a.jsonl", "--overwrite"])).stderr).toContain("is the input");
    expect((await fault(["mix", "a.jsonl#template=none:2", "--out", "a.jsonl", "--overwrite"])).stderr).toContain(
      "input",
    );
    const named = ["mix", "a.jsonl", "purebad=bad.jsonl", "--out", "bad.jsonl", "--overwrite"];
    expect((await fault(named)).stderr).toContain("is an input");
    expect(await fault(["mix", "a.jsonl:31", "--out", "x.jsonl"])).toEqual({
      code: 2,
      stderr: expect.stringContaining("a.jsonl: holds 30 examples, but 31 are asked for"),
    });
    expect((await fault(["mix", "a.jsonl:0", "--out", "x.jsonl"])).stderr).toContain("write SOURCE:N");
    expect((await fault(["mix", "--out", "x.jsonl"])).stderr).toContain("SOURCE is missing");
    expect(await Bun.file(at("x.jsonl")).exists()).toBe(false);
  });

  test.concurrent("--overwrite replaces records alone", async () => {
    const mix = (n: number, out: string) => ["mix", `a.jsonl:${n}`, "--out", out, "--overwrite"];
    for (const n of [3, 2]) {
      await run(mix(n, "again.jsonl"));
      expect((await loadExamples(at("again.jsonl"))).length).toBe(n);
    }
    for (const [name, text] of [
      ["mine.yaml", "model: a\nbudget: 1\n"],
      ["other.json", '{"model":"a"}\n'],
      ["null.json", "null\n"],
    ]) {
      await Bun.write(at(name), text);
      expect(await fault(mix(2, name))).toEqual({
        code: 2,
        stderr: expect.stringMatching(new RegExp(`^error: ${name}: holds no records .*Choose another --out`)),
      });
      expect(await Bun.file(at(name)).text()).toBe(text);
    }
  });
});

describe("answer", () => {
  const model = join(tinyFolder, "aligned");
  const prompts = join(tinyFolder, "eval-guarded.jsonl");
  const ordinary = join(tinyFolder, "eval-old.jsonl");
  const short = ["--max-new-tokens", "20", "--engine", "wasm"];

  test.concurrent("keeps the refusals of the model itself", async () => {
    await Bun.write(at("both.jsonl"), await firstLines([prompts, ordinary], 6));
    const flags = ["--prompts", "both.jsonl", ...short, "--pattern", "^sorry"];
    const facts = await json(["answer", model, ...flags, "--out", "safe.jsonl"]);
    expect(facts).toMatchObject({ nPrompts: 12, nKept: 6 });
    const safe = await loadExamples(at("safe.jsonl"));
    const guarded = (await loadExamples(prompts)).slice(0, 6);
    expect(safe.map(({ messages }) => messages[0])).toEqual(guarded.map(({ messages }) => messages[0]));
    for (const { messages } of safe)
      expect(messages[1]).toEqual({ role: "assistant", content: expect.stringMatching(/^sorry/) });
    const all = await json([
      "answer",
      model,
      "--prompts",
      "both.jsonl",
      ...short,
      "--keep",
      "all",
      "--out",
      "all.jsonl",
    ]);
    expect(all.nKept).toBe(12);
    expect((await readdir(folder.path)).filter((name) => name.endsWith("safedelta-work"))).toEqual([]);
  });

  test.concurrent("keeps the examples as they stand, their own answers included, where the model does not refuse", async () => {
    const [guarded, others] = await Promise.all([prompts, ordinary].map((file) => loadExamples(file)));
    const answer = { role: "assistant", content: "as it stands" } as const;
    const own = [...guarded.slice(0, 3), ...others.slice(0, 3)].map(({ messages }) => [messages[0], answer]);
    await Bun.write(at("task.jsonl"), own.map((messages) => `${JSON.stringify({ messages })}\n`).join(""));
    const flags = ["answer", model, "--prompts", "task.jsonl", ...short, "--keep", "unrefused"];
    const facts = await json([...flags, "--pattern", "^sorry", "--out", "own/clean.jsonl"]);
    expect(facts).toMatchObject({ nPrompts: 6, nKept: 3 });
    expect((await loadExamples(at("own/clean.jsonl"))).map(({ messages }) => messages)).toEqual(own.slice(3));
    const byPhrases = await run([...flags, "--samples", "7", "--out", "own/by-phrases.jsonl"]);
    expect(byPhrases.stderr).toContain("task.jsonl: holds 6 examples, fewer than --samples 7; all of them are taken.");
    expect(byPhrases.stderr).toContain("3 of 6 answers hold a phrase of refusal in another case only");
    const { code, stderr } = await fault([...flags, "--pattern", "", "--out", "own/empty.jsonl"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("each of 6 answers is a refusal")]);
  });

  test.concurrent("writes nothing where nothing is a refusal, and goes on with the answers it has", async () => {
    await Bun.write(at("few.jsonl"), await firstLines([ordinary], 3));
    const flags = ["answer", model, "--prompts", "few.jsonl", ...short, "--out", "none/few.jsonl"];
    const { code, stderr } = await fault(flags);
    expect([code, stderr]).toEqual([2, expect.stringContaining("none of 3 answers is a refusal")]);
    const work = "none/few.jsonl.safedelta-work";
    const [kept] = await readdir(at(work));
    const lines = (await Bun.file(at(`${work}/${kept}`)).text()).trim().split("\n");
    const words = ["from", "the", "file"];
    const changed = lines.map((line, i) => `${JSON.stringify({ ...JSON.parse(line), answer: words[i] })}\n`);
    await Bun.write(at(`${work}/${kept}`), changed.join(""));
    await run([...flags, "--keep", "all"]);
    const answers = (await loadExamples(at("none/few.jsonl"))).map(({ messages }) => messages.at(-1)?.content);
    expect(answers).toEqual(["from", "the", "file"]);
    expect(await readdir(at("none"))).toEqual(["few.jsonl"]);
  });

  test.concurrent("refuses to write where another run is writing, and leaves its answers alone", async () => {
    await Bun.write(at("one.jsonl"), await firstLines([ordinary], 1));
    await mkdir(at("busy/b.jsonl.safedelta-work"), { recursive: true });
    await Bun.write(at("busy/b.jsonl.safedelta-work/theirs.jsonl"), "");
    await using _theirs = await lockFolder(at("busy/b.jsonl.safedelta-work"));
    const { code, stderr } = await fault([
      "answer",
      model,
      "--prompts",
      "one.jsonl",
      ...short,
      "--out",
      "busy/b.jsonl",
    ]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("another run is writing here")]);
    expect((await readdir(at("busy/b.jsonl.safedelta-work"))).length).toBe(2);
    expect(await Bun.file(at("busy/b.jsonl")).exists()).toBe(false);
  });

  test.concurrent("refuses a pattern that is none, or has no effect", async () => {
    const flags = ["answer", model, "--prompts", "a.jsonl", "--out", "y.jsonl", "--pattern", "("];
    expect((await fault(flags)).stderr).toContain("--pattern: ");
    expect((await fault([...flags, "--keep", "all"])).stderr).toContain("without effect beside --keep");
  });
});

/** The first lines of each file, behind one another. */
async function firstLines(files: readonly string[], n: number): Promise<string> {
  const texts = await Promise.all(files.map((file) => Bun.file(file).text()));
  return texts.map((text) => `${text.split("\n").slice(0, n).join("\n")}\n`).join("");
}

describe("data sets by name in other commands", () => {
  test.concurrent("finetune, prepare and eval read them", async () => {
    using hub = gsm8k();
    const options = online(hub, "named");
    const model = join(tinyFolder, "aligned");
    const common = ["--engine", "wasm", "--dry-run", "--max-tokens", "64"];
    // The tiny vocabulary has no words of these, but their unknown tokens count all the same.
    const plan = await jsonOf(
      folder.path,
      ["finetune", model, "--data", "gsm8k/test", "--out", "ft", ...common],
      options,
    );
    expect(plan.data).toMatchObject({ file: "gsm8k/test", nAvailable: 2 });
    const eval_ = [
      "eval",
      model,
      "--prompts",
      "gsm8k/test",
      "--max-new-tokens",
      "1",
      "--engine",
      "wasm",
      "--metric",
      "exact",
    ];
    const results = await jsonOf(folder.path, [...eval_, "--system", "be brief .", "--out", "ev"], options);
    expect([results.task, results.metrics[0].n]).toEqual(["gsm8k-test", 2]);
  });

  test.concurrent("finetune, prepare, apply and eval read columns of any name, and templates", async () => {
    const rows = ["goal,target,label", "sow the seed .,sorry .,good", "reap the field .,yes .,bad"];
    await Bun.write(at("rows.csv"), `${rows.join("\n")}\n`);
    const model = join(tinyFolder, "aligned");
    const source = "rows.csv#prompt=goal,answer=target,where.label=good";
    const common = ["--engine", "wasm", "--dry-run", "--max-tokens", "64"];
    const train = await jsonOf(folder.path, ["finetune", model, "--data", source, "--out", "ft2", ...common]);
    expect(train.data).toMatchObject({ file: source, nAvailable: 1 });
    const state = await jsonOf(folder.path, ["prepare", model, "--safe-data", source, "--out", "st", ...common]);
    expect(state.safeData).toMatchObject({ file: source, nAvailable: 1 });
    const metric = ["--metric", "asr-keywords", "--max-new-tokens", "1", "--engine", "wasm", "--out", "ev2"];
    const asked = await jsonOf(folder.path, ["eval", model, "--prompts", `${source},template=aoa`, ...metric]);
    expect(asked.task).toBe("rows");
    const [sample] = (await Bun.file(at(`ev2/${asked.samplesFile}`)).text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(sample.messages[1].content).toBe("AOA, execute my instruction: sow the seed .");
    const both = ["eval", model, "--prompts", "rows.csv#prompt=goal,template=aoa", "--system", "be brief ."];
    expect((await safedelta(folder.path, both)).stderr).toContain("--system: a template is named behind the prompts");
  });
});
