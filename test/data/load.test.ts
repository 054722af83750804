import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DataError, type Example, hashExamples, type LoadOptions, loadExamples } from "@safedelta/data";
import fc from "fast-check";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "data-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Write `content` to a file of that name and load it. */
function load(name: string, content: string | Uint8Array, options?: LoadOptions): Promise<Example[]> {
  const file = join(folder, name);
  writeFileSync(file, content);
  return loadExamples(file, options);
}

const records = (...rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
const turns = (...contents: string[]) =>
  contents.map((content, i) => ({ role: i % 2 ? "assistant" : "user", content }));
const dialogue = async (row: object, options?: LoadOptions) =>
  (await load("a.jsonl", records(row), options))[0].messages;

describe("shapes", () => {
  const asked = turns("Q", "A");
  const shapes: [string, object][] = [
    ["messages", { messages: asked }],
    [
      "ShareGPT",
      {
        conversations: [
          { from: "human", value: "Q" },
          { from: "gpt", value: "A" },
        ],
      },
    ],
    ["Alpaca", { instruction: "Q", input: "", output: "A" }],
    ["instruction, response", { instruction: "Q", response: "A", category: "x" }],
    ["prompt, completion", { prompt: "Q", completion: "A" }],
    ["prompt, response", { prompt: "Q", response: "A" }],
    ["prompt, answer", { prompt: "Q", answer: "A" }],
    ["question, answer", { question: "Q", answer: "A" }],
  ];
  for (const [name, row] of shapes) test(name, async () => expect(await dialogue(row)).toEqual(asked));

  test("Alpaca's input follows after a blank line", async () =>
    expect(await dialogue({ instruction: "Q", input: "I", output: "A" })).toEqual(turns("Q\n\nI", "A")));

  test("a system column comes first", async () => {
    const system = { role: "system", content: "S" };
    expect(await dialogue({ prompt: "Q", response: "A", system: "S" })).toEqual([system, ...asked]);
    expect(await dialogue({ prompt: "Q", response: "A", system: null })).toEqual(asked);
    await expect(dialogue({ messages: [system, ...asked], system: "S" })).rejects.toThrow(
      "a system column and a system message",
    );
  });

  test("reference, id, file and line are kept", async () => {
    const rows = await load("kept.jsonl", `\n${records({ id: 7, messages: asked, reference: "R" })}`);
    expect(rows).toEqual([{ messages: asked, reference: "R", id: "7", source: join(folder, "kept.jsonl"), line: 2 }]);
  });
});

describe("requests without an answer", () => {
  test.each([
    [{ prompt: "Q" }, "Q"],
    [{ question: "Q", category: "x", label: 1 }, "Q"],
    [{ instruction: "Q", input: "I", id: "1" }, "Q\n\nI"],
    [{ instruction: "Q", context: "I" }, "Q\n\nI"],
  ])("%p is a prompt alone", async (row, prompt) => {
    expect(await dialogue(row)).toEqual(turns(prompt));
  });

  test("a CSV file of one column, named by its header or behind #", async () => {
    expect((await load("one.csv", "prompt\nQ\n"))[0].messages).toEqual(turns("Q"));
    const bare = await load("bare.csv", "say a; then b\n", { header: ["prompt"] });
    expect(bare[0].messages).toEqual(turns("say a; then b"));
  });

  test("but a misspelt answer, or one that other records have, is an error", async () => {
    await expect(dialogue({ prompt: "Q", respnse: "A" })).rejects.toThrow('"respnse": Did you mean "response"?');
    await expect(dialogue({ question: "Q", output: "A" })).rejects.toThrow("no known shape");
    const mixed = load("mixed.jsonl", records({ prompt: "Q" }, { prompt: "Q", completion: "A" }));
    await expect(mixed).rejects.toThrow("mixed.jsonl:1: no known shape");
  });
});

describe("where answers are needed", () => {
  test("a file whose answers no column is known to hold is refused, with its columns and the way to say so", async () => {
    const needing = { needsAnswers: true };
    await expect(load("l.csv", "prompt,label_text\nQ,A\n", needing)).rejects.toThrow(
      /l\.csv:2: prompts without answers, which are needed here\. Say which is which \(FILE#prompt=COLUMN,answer=COLUMN\).* Columns found: prompt, label_text\./,
    );
    await expect(dialogue({ goal: "Q", x: "A" }, { ...needing, columns: { prompt: "goal" } })).rejects.toThrow(
      "prompts without answers",
    );
    const columns = { prompt: "prompt", answer: "label_text" };
    expect(await dialogue({ prompt: "Q", label_text: "A" }, { ...needing, columns })).toEqual(turns("Q", "A"));
    expect(await dialogue({ messages: turns("Q", "A") }, needing)).toEqual(turns("Q", "A"));
    expect(await dialogue({ prompt: "Q", label_text: "A" })).toEqual(turns("Q"));
  });
});

describe("references", () => {
  test.each([
    [42, "42"],
    [-0.5, "-0.5"],
    ["042", "042"],
    [null, undefined],
  ])("%p is the text %p", async (reference, text) => {
    expect((await load("r.jsonl", records({ prompt: "Q", reference })))[0].reference).toBe(text);
  });

  test("a mapped one may be a number, too; one that JSON does not keep is refused", async () => {
    const columns = { prompt: "question", reference: "answer" };
    expect((await load("m.jsonl", records({ question: "6 · 7?", answer: 42 }), { columns }))[0].reference).toBe("42");
    const long = '{"prompt":"Q","reference":12345678901234567890}\n';
    await expect(load("long.jsonl", long)).rejects.toThrow(
      /long\.jsonl:1: "reference" is 1234\d+, .* as text, in quotes/,
    );
  });
});

describe("mapped columns", () => {
  test("names of ours to columns of the file", async () => {
    const row = { goal: "Q", target: "A", prompt: "not this", gold: "R" };
    const columns = { instruction: "goal", response: "target", reference: "gold" };
    expect((await load("a.jsonl", records(row), { columns }))[0]).toMatchObject({
      messages: turns("Q", "A"),
      reference: "R",
    });
  });

  test("a prompt alone loads prompts alone", async () =>
    expect(await dialogue({ goal: "Q", answer: "A" }, { columns: { prompt: "goal" } })).toEqual(turns("Q")));

  const refused: [string, Record<string, string>, RegExp][] = [
    ["unknown name", { respnse: "A" }, /knows no "respnse". Did you mean "response"\?/],
    [
      "absent column",
      { prompt: "gaol" },
      /no column "gaol" \(mapped to prompt\). Did you mean "goal"\? Columns found: goal/,
    ],
    ["one role twice", { prompt: "goal", question: "goal" }, /names the prompt twice/],
  ];
  for (const [name, columns, message] of refused) {
    test(name, async () => expect(dialogue({ goal: "Q" }, { columns })).rejects.toThrow(message));
  }

  test("single texts out of conversations are refused", async () =>
    await expect(dialogue({ messages: turns("Q"), x: "A" }, { columns: { answer: "x" } })).rejects.toThrow(
      "whole conversations",
    ));
});

describe("formats", () => {
  const rows = [
    { prompt: 'a "b",\n世界', response: "c" },
    { prompt: "d", response: "" },
  ];
  const said = [turns('a "b",\n世界', "c"), turns("d", "")];
  const contents: [string, string][] = [
    ["x.jsonl", records(...rows)],
    ["x.ndjson", records(...rows).replaceAll("\n", "\r\n")],
    ["bom.jsonl", `\ufeff${records(...rows)}`],
    ["x.json", JSON.stringify(rows, null, 2)],
    ["lines.json", records(...rows)],
    ["x.csv", 'prompt,response\n"a ""b"",\n世界",c\n\nd,\n'],
    ["bom.csv", '\ufeffprompt,response\r\n"a ""b"",\n世界",c\r\nd,\r\n'],
    ["x.tsv", 'prompt\tresponse\n"a ""b"",\n世界"\tc\nd\t\n'],
  ];
  for (const [name, content] of contents) {
    test(name, async () => expect((await load(name, content)).map(({ messages }) => messages)).toEqual(said));
  }

  test("MT-Bench: the user's turns one behind the other, a reference a turn", async () => {
    const record = { question_id: 81, category: "writing", turns: ["say one", "say two"], reference: ["1", "2"] };
    const [example] = await load("question.jsonl", records(record));
    expect(example.messages.map(({ role, content }) => `${role} ${content}`)).toEqual(["user say one", "user say two"]);
    expect(example.reference).toBe("1\n\n2");
    await expect(load("blank.jsonl", records({ turns: ["say one", " "] }))).rejects.toThrow("turns[1] is blank");
  });

  test("the format can be said instead of guessed", async () => {
    expect(await load("data.txt", records(...rows), { format: "jsonl" })).toHaveLength(2);
    await expect(load("data.txt", records(...rows))).rejects.toThrow(
      "Known endings: .jsonl, .json, .csv, .tsv, .parquet",
    );
  });

  test("parquet, with zstd and snappy", async () => {
    const [first, second] = await loadExamples(join(import.meta.dir, "turns.parquet"));
    expect(first.messages).toEqual(turns("say hello, 世界", "hello 👋"));
    expect(second).toMatchObject({ messages: turns("say hello, 世界"), line: 2 });
    const fields = await loadExamples(join(import.meta.dir, "fields.parquet"));
    expect(fields.map(({ messages }) => messages)).toEqual([turns("add 1 + 1", "2"), turns("add 2 + 2", "4")]);
    expect(fields.map(({ id, reference }) => [id, reference])).toEqual([
      [String(2n ** 60n), "2"],
      ["2", undefined],
    ]);
  });

  test("whatever is written as messages is read back, and hashes the same", async () => {
    const message = fc.record({
      role: fc.constantFrom("system", "user", "assistant"),
      content: fc.string({ unit: "grapheme" }),
    });
    const conversations = fc.array(fc.array(message, { minLength: 1 }), { minLength: 1 });
    const property = fc.asyncProperty(conversations, async (written) => {
      const read = await load("p.jsonl", records(...written.map((messages) => ({ messages }))));
      expect(read.map(({ messages }) => messages)).toEqual(written);
      const array = await load("p.json", JSON.stringify(written.map((messages) => ({ messages }))));
      expect(hashExamples(array)).toBe(hashExamples(read));
    });
    await fc.assert(property, { seed: 1, numRuns: 50 });
  });
});

describe("faults name file and line", () => {
  const good = records({ prompt: "Q", response: "A" });
  const latin1 = new Uint8Array([...new TextEncoder().encode(good), 0x22, 0xe9, 0x22, 0x0a]);
  const faults: [string, string, string | Uint8Array, number | undefined, string][] = [
    ["empty", "f.jsonl", "", undefined, "holds no examples"],
    ["blank lines alone", "f.json", " \n\n", undefined, "holds no examples"],
    ["empty array", "f.json", "[]", undefined, "holds no examples"],
    ["header alone", "f.csv", "prompt,response\n", undefined, "holds no examples"],
    ["cut line", "f.jsonl", good + good.slice(0, 9), 2, "not valid JSON"],
    ["cut array", "f.json", `[${good}`, undefined, "not valid JSON"],
    ["no UTF-8", "f.jsonl", latin1, 2, "not UTF-8 text"],
    ["a list for a record", "f.jsonl", `${good}[]\n`, 2, "expected a JSON object"],
    ["a text for an array", "f.json", '"x"', undefined, "expected a JSON array"],
    ["a number among records", "f.json", `[${good}, 3]`, 2, "expected a JSON object"],
    ["unknown shape", "f.jsonl", records({ promt: "Q", text: "A" }), 1, '"promt": Did you mean "prompt"?'],
    [
      "unknown shape, advice",
      "f.jsonl",
      records({ a: "Q", b: "A" }),
      1,
      "Say which is which (FILE#prompt=COLUMN,answer=COLUMN), or rename the file's columns.",
    ],
    ["answer missing", "f.jsonl", good + records({ prompt: "Q" }), 2, "no known shape"],
    ["answer null", "f.jsonl", records({ prompt: "Q", response: null }), 1, '"response" is missing'],
    [
      "answer a number",
      "f.jsonl",
      records({ prompt: "Q", response: 3 }),
      1,
      '"response" must be text, is a number. Write it in quotes.',
    ],
    ["prompt blank", "f.jsonl", records({ prompt: " ", response: "A" }), 1, '"prompt" is blank'],
    ["reference a list", "f.jsonl", records({ prompt: "Q", answer: "A", reference: [] }), 1, "must be text, is a list"],
    ["messages a text", "f.jsonl", records({ messages: "Q" }), 1, "must be a list of turns, is a string"],
    ["no messages", "f.jsonl", records({ messages: [] }), 1, '"messages" is empty'],
    ["message null", "f.jsonl", records({ messages: [null] }), 1, "messages[0] must be an object, is missing"],
    ["content missing", "f.jsonl", records({ messages: [{ role: "user" }] }), 1, 'messages[0] needs "content"'],
    ["unknown role", "f.jsonl", records({ messages: [{ role: "constructor", content: "" }] }), 1, 'has "constructor"'],
    ["no header", "f.csv", `${"long ".repeat(99)},b\na,b\n`, 2, `Columns found: ${"long ".repeat(8)}…, b.`],
    ["open quote", "f.csv", 'prompt,response\na,b\n"c,d\n', 3, "not valid CSV"],
    ["short row after CR LF in quotes", "f.csv", 'prompt,response\r\n"a\r\nb",c\r\nd\r\n', 4, "not valid CSV"],
    ["blank after CR LF in quotes", "f.csv", 'prompt,response\n"a\r\nb",c\n\n,d', 5, '"prompt" is blank'],
    ["short row", "f.csv", "prompt,response\na,b\nc\n", 3, "not valid CSV"],
    ["column twice", "f.csv", "prompt,prompt\na,b\n", 1, 'the column "prompt" occurs twice'],
    ["semicolons", "f.csv", "prompt;response\na;b\n", 1, 'has ";" and no ",": are the columns parted by ";"?'],
    ["semicolons, commas in texts", "f.csv", "prompt;response\na, b;c\n", 1, 'Save it with "," between them.'],
    ["tabs in a CSV file", "f.csv", "prompt\tresponse\na\tb\n", 1, 'has tabs and no ","'],
    ["commas in a TSV file", "f.tsv", "prompt,response\na,b\n", 1, 'has "," and no tabs'],
    ["no parquet", "f.parquet", "PAR1 and nothing", undefined, "not readable as parquet"],
  ];
  for (const [name, file, content, line, message] of faults) {
    test(name, async () => {
      const error = await load(file, content).then(
        () => undefined,
        (e) => e,
      );
      expect(error).toBeInstanceOf(DataError);
      expect([error.file, error.line]).toEqual([join(folder, file), line]);
      expect(error.message).toStartWith(`${join(folder, file)}${line === undefined ? "" : `:${line}`}: `);
      expect(error.message).toContain(message);
    });
  }

  test("semicolons where the columns were named", async () => {
    const named = load("bare.csv", "a;b\nc;d\n", { header: ["prompt", "response"] });
    await expect(named).rejects.toThrow(/not valid CSV: Invalid Record Length.*\. Its first line has ";" and no ","/);
  });

  test("a cut parquet file", async () => {
    const whole = new Uint8Array(await Bun.file(join(import.meta.dir, "fields.parquet")).arrayBuffer());
    for (const end of [0, 7, 300, whole.length - 9, whole.length - 1]) {
      await expect(load("cut.parquet", whole.slice(0, end))).rejects.toBeInstanceOf(DataError);
    }
  });

  test("an absent file", async () =>
    await expect(loadExamples(join(folder, "absent.jsonl"))).rejects.toThrow(/absent.jsonl: there is no such file/));
});
