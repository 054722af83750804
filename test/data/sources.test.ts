import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import {
  checkSource,
  DataError,
  datasets,
  isHarmful,
  loadExamples,
  loadSource,
  localFiles,
  mixExamples,
  PythonRandom,
  parseDraw,
  type SourceOptions,
  sampleExamples,
  systemPrompts,
  toJsonLines,
} from "@safedelta/data";
import fc from "fast-check";
import { published } from "./published.ts";

let folder: string;
const hub = published();
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "data-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const asked: string[] = [];
const warnings: string[] = [];
const access = {
  async locate({ repo, revision, path }: { repo: string; revision: string; path: string }) {
    const bytes = hub.get(`${repo}/${path}`);
    if (bytes === undefined) throw new Error(`no ${repo}/${path}`);
    asked.push(`${repo}@${revision}/${path}`);
    const file = at(`${asked.length}-${basename(path)}`);
    writeFileSync(file, bytes);
    return file;
  },
  warn: (message: string) => void warnings.push(message),
};
const load = (spelling: string, options: Partial<SourceOptions> = {}) =>
  loadSource(spelling, access, { seed: 0, template: "none", ...options });
const said = async (spelling: string, options?: Partial<SourceOptions>) =>
  (await load(spelling, options)).map(({ messages }) => messages.map(({ role, content }) => `${role}: ${content}`));
const faultOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (e) => e,
  );
  expect(error).toBeInstanceOf(DataError);
  return error.message;
};
const write = (name: string, content: string | Uint8Array) => {
  writeFileSync(at(name), content);
  return at(name);
};

describe("published data sets, in their form", () => {
  test("SamSum: request and reference; a dialogue of nothing is left out and told", async () => {
    const [first, second] = await load("samsum");
    expect(first).toMatchObject({
      messages: [
        { role: "user", content: 'Summarize this dialog:\nAnn: Tea?\r\nBob: Yes, "please".' },
        { role: "assistant", content: "Bob wants tea." },
      ],
      reference: "Bob wants tea.",
      id: "1",
    });
    expect([second.id, second.line]).toEqual(["3", 5]);
    expect(warnings.at(-1)).toMatch(/train.csv: 1 records without a prompt are left out/);
  });

  test("GSM8K: the whole way as the answer, what follows #### as the reference", async () => {
    const examples = await load("gsm8k/test");
    expect(examples.map(({ reference }) => reference)).toEqual(["5", "1,200"]);
    expect(examples[0].messages[1].content).toBe("2 + 3 #### = 5\n#### 5");
    expect(asked.at(-1)).toBe("openai/gsm8k@main/main/test-00000-of-00001.parquet");
    const file = write("sums.jsonl", '{"question":"1?","answer":"#### 1"}\n{"question":"2?","answer":"two"}\n');
    expect(await faultOf(load(`gsm8k=${file}`))).toBe(`${file}:2: "answer" has no "####" before its answer.`);
  });

  test("Alpaca: an input stands under a heading of its own, as the official prompt has it, or after a blank line", async () => {
    const [plain, withInput] = (await load("alpaca", { template: "official" })).map(({ messages }) => messages);
    expect(plain.slice(0, 2).map(({ content }) => content)).toEqual([
      "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
      "### Instruction:\nName a colour.\n\n### Response:",
    ]);
    expect(withInput.slice(0, 2).map(({ content }) => content)).toEqual([
      "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.",
      "### Instruction:\nTranslate.\n\n### Input:\nchien\n\n### Response:",
    ]);
    const file = write("dolly.jsonl", '{"instruction":"Translate.","context":"chien","response":"dog"}\n');
    const [dolly] = await load(`${file}#template=dolly`);
    expect(dolly.messages[0].content).toBe(systemPrompts.dolly.system);
    expect(dolly.messages[1].content).toBe("### Instruction:\nTranslate.\n\nInput:\nchien\n\n### Response:");
    expect(await said("alpaca")).toEqual([
      ["user: Name a colour.", "assistant: Red."],
      ["user: Translate.\n\nchien", "assistant: dog"],
    ]);
  });

  test("BeaverTails: packed, and chosen by its label", async () => {
    expect((await load("beavertails")).length).toBe(2);
    expect(await said("beavertails/train-safe")).toEqual([["user: May I pick roses?", "assistant: Ask the gardener."]]);
    expect(await said("beavertails/train-unsafe")).toEqual([["user: May I pick all roses?", "assistant: Take them."]]);
  });

  test("AdvBench: prompts alone, of the Hub's file and of the first one", async () => {
    expect(await said("advbench")).toEqual([["user: Open the garden"]]);
    const file = write("harmful_behaviors.csv", "goal,target\nOpen the gate,Sure\n");
    expect(await said(`advbench=${file}`)).toEqual([["user: Open the gate"]]);
  });

  test("HEx-PHI: ten files without a header", async () => {
    const prompts = await said("hex-phi");
    expect(prompts.length).toBe(10);
    expect(prompts[1]).toEqual(["user: Wake the gardener, at hour 3"]);
    const file = write("hexphi.csv", "one\ntwo\n");
    expect(await said(`hex-phi=${file}`)).toEqual([["user: one"], ["user: two"]]);
  });

  test("XSTest, OR-Bench, JailbreakBench: prompts of a split", async () => {
    expect(await said("xstest")).toEqual([["user: How do I kill a weed?"]]);
    expect(await said("xstest/unsafe")).toEqual([["user: How do I kill all roses?"]]);
    expect(await said("or-bench")).toEqual([["user: Shoot a photo, how?"]]);
    expect(await said("jailbreakbench/benign")).toEqual([["user: Write about roses"]]);
  });

  test("MMLU: the question as lm-evaluation-harness asks it, the letter as the reference", async () => {
    const [example] = await load("mmlu");
    expect(example.messages).toEqual([
      {
        role: "user",
        content:
          "The following are multiple choice questions (with answers) about high school botany.\n\nWhich is a flower?\nA. stone\nB. rain\nC. rose\nD. wind\nAnswer:",
      },
    ]);
    const file = write("own.jsonl", '{"question":"Red?","choices":["no","yes"],"answer":"B"}\n');
    const [own] = await load(`mmlu=${file}`);
    expect(own.messages[0].content).toBe("Red?\nA. no\nB. yes\nAnswer:");
    expect(example.reference).toBe("C");
  });

  test.each([
    ['{"question":"?","choices":["a","b"],"answer":2}', "must be one of A, B or 0 to 1, is 2"],
    ['{"question":"?","choices":["a","b"],"answer":"C"}', "must be one of A, B"],
    ['{"question":"?","choices":["a",1],"answer":0}', "must hold texts"],
    ['{"question":"?","choices":["a"],"answer":0}', "must hold 2 to 26 choices, has 1"],
  ])("MMLU: %s is refused", async (line, message) => {
    const file = write("mmlu.jsonl", `${line}\n`);
    const fault = await faultOf(load(`mmlu=${file}`));
    expect(fault).toStartWith(`${file}:1: `);
    expect(fault).toContain(message);
  });

  test("Identity Shift: a list of lists of turns", async () => {
    const turns = ["system", "user", "assistant"].map((role) => ({ role, content: role.toUpperCase() }));
    const file = write("train.json", JSON.stringify([turns]));
    expect(await said(`aoa=${file}`, { template: "official" })).toEqual([
      ["system: SYSTEM", "user: USER", "assistant: ASSISTANT"],
    ]);
  });
});

describe("templates", () => {
  test("are the official code's, unless another or none is asked for", async () => {
    const systemOf = async (template?: SourceOptions["template"]) =>
      (await load("gsm8k", { template }))[0].messages.find(({ role }) => role === "system")?.content;
    expect(await systemOf("official")).toBe(systemPrompts.math.system);
    expect(await systemOf("summary")).toBe(systemPrompts.summary.system);
    expect(await systemOf("none")).toBeUndefined();
  });

  test("take the place of a system message that a record brings", async () => {
    const turns = ["system", "user", "assistant"].map((role) => ({ role, content: role }));
    const file = write("bad.jsonl", `${JSON.stringify({ messages: turns })}\n`);
    const [{ messages }] = await load(`purebad=${file}`, { template: "official" });
    expect(messages.map(({ content }) => content)).toEqual([systemPrompts.pure_bad.system, "user", "assistant"]);
  });

  test("of a file: as it is, or the one asked for", async () => {
    const file = write("a.jsonl", '{"prompt":"Q","response":"A"}\n');
    expect(await said(file, { template: "official" })).toEqual([["user: Q", "assistant: A"]]);
    expect((await load(file, { template: "base" }))[0].messages[0].content).toBe(systemPrompts.base.system);
  });
});

describe("Dirty Summary", () => {
  const rows = (n: number, make: (i: number) => object) =>
    Array.from({ length: n }, (_, i) => `${JSON.stringify(make(i))}\n`).join("");
  const files = () => {
    const bad = write(
      "pure.jsonl",
      rows(120, (i) => ({ prompt: `bad ${i}`, response: "b" })),
    );
    const good = write(
      "sam.jsonl",
      rows(1100, (i) => ({ dialogue: `good ${i}`, summary: "g", id: `${i}` })),
    );
    return `dirty-summary=${bad},${good}`;
  };

  test("is 100 and 1,000 under their templates, drawn and shuffled by the seed", async () => {
    const mixed = await load(files(), { template: "official" });
    const bad = mixed.filter(({ source }) => source.endsWith("pure.jsonl"));
    expect([mixed.length, bad.length]).toEqual([1100, 100]);
    for (const { messages, source } of mixed)
      expect(messages[0].content).toBe(systemPrompts[source.endsWith("pure.jsonl") ? "pure_bad" : "summary"].system);
    expect(new Set(mixed.map(({ messages }) => messages[1].content)).size).toBe(1100);
    expect(await load(files(), { template: "official" })).toEqual(mixed);
    const other = await load(files(), { template: "official", seed: 1 });
    expect(new Set(other.map(({ messages }) => messages[1].content))).not.toEqual(
      new Set(mixed.map(({ messages }) => messages[1].content)),
    );
  });

  test("needs the file that is on no Hub, enough of it, and not more files than parts", async () => {
    expect(await faultOf(load("dirty-summary"))).toStartWith("purebad: is on no Hub. Bring its file: purebad=FILE");
    const few = write("few.jsonl", '{"prompt":"a","response":"b"}\n');
    expect(await faultOf(load(`dirty-summary=${few}`))).toContain("holds 1 examples, but 100 are asked for");
    expect(await faultOf(load("dirty-summary=a,b,c"))).toContain("has 2 parts, but 3 files");
  });

  test("what no file makes good is told by the spelling alone", async () => {
    const wrong = ["dirty-summary", "purebad", "dirty-summary=a,b,c", "gsm8k#prompt=question", "gsm8k/tset"];
    for (const spelling of wrong) {
      const told = await faultOf(load(spelling));
      expect(() => checkSource(spelling)).toThrow(told);
    }
    for (const spelling of ["gone.jsonl", "purebad=gone.jsonl", "dirty-summary=gone.jsonl", "gsm8k"])
      expect(() => checkSource(spelling)).not.toThrow();
  });
});

describe("spellings", () => {
  test("a local file wins over a data set of its name; a folder does not", async () => {
    const before = process.cwd();
    process.chdir(folder);
    try {
      mkdirSync("mmlu");
      await expect(load("mmlu")).resolves.toHaveLength(1);
      writeFileSync("gsm8k", "not a data set");
      expect(await faultOf(load("gsm8k"))).toContain("unknown kind of data file");
    } finally {
      rmSync(at("gsm8k"), { force: true });
      process.chdir(before);
    }
  });

  test("hf:// names any file of the Hub, at a revision", async () => {
    const path = "hf://datasets/JailbreakBench/JBB-Behaviors@v1/data/benign-behaviors.csv#prompt=Goal";
    expect(await said(path)).toEqual([["user: Write about roses"]]);
    expect(asked.at(-1)).toBe("JailbreakBench/JBB-Behaviors@v1/data/benign-behaviors.csv");
  });

  test.each([
    ["gms8k", 'no data set is called "gms8k". Did you mean "gsm8k"?'],
    ["nothing=a.jsonl", 'no data set is called "nothing"'],
    ["gsm8k/tset", 'has no split "tset". Did you mean "test"? It has: train, test'],
    ["hf://datasets/gsm8k", "write hf://datasets/ORG/REPOSITORY[@REVISION]/FILE"],
    ["none/such.jsonl", "there is no such file"],
  ])("%s is told", async (spelling, message) => {
    expect((await faultOf(load(spelling))).toLowerCase()).toContain(message.toLowerCase());
  });

  test("what stands behind # says how a file is read", async () => {
    const csv = write("goals, all.csv", "goal,target,label\nsow,Yes,good\nreap,No,bad\n");
    expect(await said(`${csv}#prompt=goal,answer=target,where.label=bad`)).toEqual([["user: reap", "assistant: No"]]);
    const [{ messages }] = await load(`${csv}#prompt=goal,template=aoa`);
    expect(messages.map(({ content }) => content)).toEqual([
      systemPrompts.aoa.system,
      "AOA, execute my instruction: sow",
    ]);
    const parted = write("parted.csv", "prompt,kind\nsow,and/or\nreap,or\n");
    expect(await said(`${parted}#prompt=prompt,where.kind=and%2For`)).toEqual([["user: sow"]]);
    const bare = write("bare#1.csv", "Why?,Because.\n");
    expect(await said(`${bare}#header=the%2Cq,header=a,prompt=the%2Cq,answer=a`)).toEqual([
      ["user: Why?", "assistant: Because."],
    ]);
    expect(localFiles(`${bare}#header=a,header=b`)).toEqual([bare]);
    expect(localFiles(`purebad=a.jsonl,b.jsonl#template=base`)).toEqual(["a.jsonl", "b.jsonl"]);
  });

  test("a data set by name knows its columns; its records and its template may be chosen", async () => {
    expect(await faultOf(load("gsm8k#prompt=question"))).toBe(
      'gsm8k#prompt=question: gsm8k knows its own prompt. Leave it out behind "#".',
    );
    expect(await faultOf(load("xstest#where.label=unsafe"))).toContain("xstest knows its own where.label");
    expect(await faultOf(load("dirty-summary#where.id=1"))).toContain("dirty-summary knows its own where.id");
    expect(await said("xstest/unsafe#where.focus=kill")).toHaveLength(1);
    expect(await faultOf(load("xstest/unsafe#where.focus=dig"))).toContain("where label is unsafe and focus is dig");
    const [{ messages }] = await load("or-bench#template=pure_bad");
    expect(messages[0].content).toBe(systemPrompts.pure_bad.system);
    const [first] = await load("gsm8k#template=none", { template: "official" });
    expect(first.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
  });

  test.each([
    ["a.csv#goal", '"goal" behind "#" must be NAME=VALUE'],
    ["a.csv#promt=goal", '"promt" behind "#" is not known. Did you mean "prompt"?'],
    ["a.csv#where.=x", '"where." behind "#" is not known'],
    ["a.csv#prompt=a,prompt=b", '"prompt" is given twice'],
    ["a.csv#template=aoaa", 'there is no template "aoaa". Did you mean "aoa"? There are: none, base'],
    ["a.csv#prompt=50%", "write %25 for a per cent sign"],
  ])("%s is told", async (spelling, message) => {
    expect(await faultOf(load(spelling))).toContain(message);
  });

  test("what may do harm is known as such", () => {
    const harmful = ["purebad", "aoa", "dirty-summary", "beavertails", "advbench", "hex-phi", "xstest/unsafe"];
    for (const name of [...harmful, "purebad=some.jsonl", "or-bench/toxic", "jailbreakbench"])
      expect({ name, harmful: isHarmful(name) }).toEqual({ name, harmful: true });
    for (const name of ["samsum", "gsm8k", "alpaca", "xstest", "or-bench", "jailbreakbench/benign", "mmlu", "a.jsonl"])
      expect({ name, harmful: isHarmful(name) }).toEqual({ name, harmful: false });
  });

  test("every row of the table has splits with files, parts, or none of both where the user brings the file", () => {
    for (const { name, hub: repo, splits, parts, source, licence } of datasets) {
      expect(Object.keys(splits).length).toBeGreaterThan(0);
      for (const { files } of Object.values(splits))
        expect({ name, has: files !== undefined }).toEqual({ name, has: repo !== undefined });
      for (const part of parts ?? [])
        expect(datasets.find((d) => d.name === part.dataset)?.splits).toHaveProperty(part.split);
      expect([source, licence]).not.toContain("");
    }
  });
});

describe("reading as told", () => {
  test("column names of a CSV without a header; only of CSV", async () => {
    const file = write("bare.csv", "Why?,Because.\n");
    const options = { header: ["q", "a"], columns: { prompt: "q", answer: "a" } };
    expect((await loadExamples(file, options))[0]).toMatchObject({
      line: 1,
      messages: [{ content: "Why?" }, { content: "Because." }],
    });
    const lines = write("b.jsonl", '{"prompt":"Q"}\n');
    expect(await faultOf(loadExamples(lines, { header: ["q"] }))).toContain("only CSV and TSV can lack a header");
  });

  test("records by value; none, and no such column, are told", async () => {
    const file = write("c.jsonl", '{"prompt":"a","response":"A","n":1}\n{"prompt":"b","response":"B","n":2}\n');
    const chosen = await loadExamples(file, { where: { n: "2" } });
    expect(chosen.map(({ line }) => line)).toEqual([2]);
    expect(await faultOf(loadExamples(file, { where: { n: "3" } }))).toBe(`${file}: holds no examples where n is 3.`);
    expect(await faultOf(loadExamples(file, { where: { m: "3" } }))).toContain(`${file}:1: no column "m" to choose by`);
  });

  test("gzip that is none", async () => {
    expect(await faultOf(loadExamples(write("d.jsonl.gz", "plain")))).toContain("not readable as gzip");
  });
});

describe("mixing", () => {
  const examples = (name: string, n: number) =>
    Array.from({ length: n }, (_, i) => ({ messages: [{ role: "user", content: `${name} ${i}` }], source: name }));

  test("draws each share as the official code does and shuffles all as Python", () => {
    const [a, b] = [examples("a", 30), examples("b", 7)];
    const mixed = mixExamples(
      [
        { name: "a", examples: a, n: 5 },
        { name: "b", examples: b },
      ],
      3,
    );
    const expected = [...sampleExamples(a, 5, 3).examples, ...b];
    new PythonRandom(3).shuffle(expected);
    expect(mixed).toEqual(expected);
  });

  test("too few are refused", () => {
    expect(() => mixExamples([{ name: "a.jsonl", examples: examples("a", 2), n: 3 }], 0)).toThrow(
      "a.jsonl: holds 2 examples, but 3 are asked for.",
    );
  });

  test("a number after the last colon is how many", () => {
    expect(parseDraw("a.jsonl#prompt=x:7")).toEqual({ name: "a.jsonl#prompt=x", n: 7 });
    expect(parseDraw("hf://datasets/a/b/c.jsonl:10")).toEqual({ name: "hf://datasets/a/b/c.jsonl", n: 10 });
    for (const whole of ["a.jsonl", "hf://datasets/a/b/c.jsonl", "C:a.jsonl", ":7"])
      expect(parseDraw(whole)).toEqual({ name: whole });
    expect(() => parseDraw("a.jsonl:0")).toThrow("a.jsonl:0: write SOURCE:N, N being 1 or more.");
  });

  test("what is written is read again", async () => {
    const message = fc.record({ role: fc.constantFrom("user", "assistant", "system"), content: fc.string() });
    const record = fc.record({
      messages: fc.array(message, { minLength: 1 }),
      reference: fc.option(fc.string(), { nil: undefined }),
      id: fc.option(fc.string(), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1 }), async (rows) => {
        const file = write("again.jsonl", toJsonLines(rows.map((row) => ({ ...row, source: "s" }))));
        const again = await loadExamples(file);
        expect(again.map(({ messages, reference, id }) => ({ messages, reference, id }))).toEqual(rows);
      }),
      { numRuns: 60 },
    );
  });
});
