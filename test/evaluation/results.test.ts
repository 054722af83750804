import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  askAll,
  type ChatModel,
  compareResults,
  EvaluationError,
  type Finished,
  keptChat,
  missedGates,
  parseGate,
  readResults,
  type Settings,
  saveResults,
  summarise,
  unlikeMetrics,
} from "@safedelta/evaluation";
import { scratchFolder } from "../support/pico.ts";

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

const prompts = ["a", "b", "c", "d", "e"].map((content) => [{ role: "user", content }]);

/** Fails at the batch that holds `fatal`. */
function dying(fatal: string, asked: string[]): ChatModel {
  return {
    name: "dying",
    answer: async (batch) =>
      batch.map(([{ content }]) => {
        asked.push(content);
        if (content === fatal) throw new Error("killed");
        return `to ${content}\n`;
      }),
  };
}

function finished(values: readonly (number | undefined)[], promptsSha256 = "p"): Finished {
  const judgements = values.map((value) => ({ value }));
  const samples = judgements.map((judgement, index) => ({
    ...{ index, messages: [], answer: "", judgements: { asr: judgement } },
  }));
  const metrics = [summarise({ name: "asr", kind: "rate" }, judgements)];
  return { results: { task: "t", time: "1", samplesFile: "samples_t_1.jsonl", promptsSha256, metrics }, samples };
}

describe("keptChat", () => {
  test("goes on after a death, also one in the middle of a line; each batch is told", async () => {
    const file = join(scratch.path, "kept", "work.jsonl");
    const asked: string[] = [];
    const told: number[] = [];
    const run = async (fatal: string) =>
      askAll(
        await keptChat(dying(fatal, asked), file, { batchSize: 2, onAnswers: (n) => void told.push(n) }),
        prompts,
        { maxNewTokens: 1 },
      );
    await expect(run("c")).rejects.toThrow("killed");
    await Bun.write(file, `${await Bun.file(file).text()}{"prompt": "x`);
    const answers = await run("");
    expect(answers).toEqual(["to a\n", "to b\n", "to c\n", "to d\n", "to e\n"]);
    expect(asked).toEqual(["a", "b", "c", "c", "d", "e"]);
    expect(told).toEqual([0, 2, 2, 2, 1]);
    expect(await run("a")).toEqual(answers);
  });

  test("asks nothing twice, and takes another length for another question", async () => {
    const asked: string[] = [];
    const chat = await keptChat(dying("", asked), join(scratch.path, "same.jsonl"), { batchSize: 8 });
    await chat.answer([prompts[0], prompts[1], prompts[0]], { maxNewTokens: 1 });
    expect(asked.join("")).toBe("ab");
    await chat.answer([prompts[0]], { maxNewTokens: 2 });
    expect(asked.join("")).toBe("aba");
  });
});

describe("results", () => {
  test("are refused with answers that are cut off or another evaluation's", async () => {
    const folder = join(scratch.path, "mixed");
    await mkdir(folder);
    const path = await saveResults(
      folder,
      { ...finished([1, undefined, 0]).results },
      finished([1, undefined, 0]).samples,
      [],
    );
    for (const values of [[1, undefined], [1, 0, 0], [1, undefined, 1], []]) {
      const lines = finished(values).samples.map((sample) => `${JSON.stringify(sample)}\n`);
      await Bun.write(join(folder, "samples_t_1.jsonl"), lines.join(""));
      await expect(readResults(path)).rejects.toThrow(
        /samples_t_1\.jsonl do not belong together: asr judges 2 of 3 answers, value 0\.5 there, and \d of \d answers, value /,
      );
    }
  });

  test("are read back, never replaced, and the kept answers go", async () => {
    const kept = join(scratch.path, "work2.jsonl");
    await Bun.write(kept, "");
    const { results, samples } = finished([1, undefined, 0]);
    const path = await saveResults(scratch.path, { ...results }, samples, [kept]);
    expect(await readdir(scratch.path)).not.toContain("work2.jsonl");
    expect((await readResults(path)).samples.map(({ judgements }) => judgements.asr.value)).toEqual([
      1,
      undefined as never,
      0,
    ]);
    await expect(saveResults(scratch.path, { ...results }, samples, [kept])).rejects.toThrow("never replaced");
    await Bun.write(join(scratch.path, "x.json"), "{}");
    await expect(readResults(join(scratch.path, "x.json"))).rejects.toThrow(EvaluationError);
    await expect(readResults(join(scratch.path, "none.json"))).rejects.toThrow(
      "none.json cannot be read: there is no such file",
    );
    await expect(readResults(scratch.path)).rejects.toThrow(
      new EvaluationError(`${scratch.path} is a folder; name the results in it: ${path}`),
    );
    await mkdir(join(scratch.path, "empty"));
    await expect(readResults(join(scratch.path, "empty"))).rejects.toThrow("is a folder; no evaluation has written");
  });
});

describe("compareResults", () => {
  test("pairs what both could judge", () => {
    const [found] = compareResults(finished([1, 1, 1, 0, undefined]), finished([0, 0, 1, 0, 1]));
    expect(found).toMatchObject({ a: 0.75, b: 0.25, difference: -0.5, n: 4 });
    expect(found.mcnemar).toEqual({ onlyA: 2, onlyB: 0, p: 0.5 });
  });

  test("other prompts and other metrics are refused", () => {
    expect(() => compareResults(finished([1]), finished([1], "q"))).toThrow("other prompts");
    const bare = finished([1]);
    expect(() => compareResults(bare, { ...bare, results: { ...bare.results, metrics: [] } })).toThrow("no metric");
  });

  test("values that rest on other things do not pair up, and it is told which", () => {
    const bare = finished([1, 0]);
    const on = (settings: Settings): Finished => ({
      ...bare,
      results: { ...bare.results, settings: { asr: settings } },
    });
    const first = on({ reference: "abc", maxNewTokens: 8 });
    expect(compareResults(first, on({ maxNewTokens: 8, reference: "abc" }))).toHaveLength(1);
    expect(() => compareResults(first, on({ reference: "abc", maxNewTokens: 9 }))).toThrow("asr: maxNewTokens 8 and 9");
    expect(() => compareResults(first, bare)).toThrow("reference abc and not told, maxNewTokens 8 and not told");
    expect(unlikeMetrics(first.results, on({ reference: "x", maxNewTokens: 8 }).results)).toEqual([
      { metric: "asr", why: "reference abc and x" },
    ]);
  });

  test("values of another judge, or of the same one asked in other words, do not pair up", () => {
    const bare = finished([1, 0]);
    const [{ metric }] = bare.results.metrics;
    const by = (judge: string, promptSha256: string): Finished => ({
      ...bare,
      results: { ...bare.results, judges: { [metric]: { judge, subject: "refusal", promptSha256 } } },
    });
    expect(compareResults(by("j", "1"), by("j", "1"))).toHaveLength(1);
    for (const other of [by("k", "1"), by("j", "2"), bare])
      expect(() => compareResults(by("j", "1"), other)).toThrow(`${metric}: judge`);
  });
});

describe("gates", () => {
  const names = ["asr-keywords", "exact", "exactly"];
  const { results } = finished([1, 0, 0, 0]);

  test.each([
    ["asr>0.1", true],
    ["asr>0.25", false],
    ["asr>=0.25", true],
    ["asr<0.5", true],
    ["asr<=0.2", false],
  ])("%p of 0.25 is missed: %p", (text, missed) => {
    expect(missedGates([parseGate(text, ["asr"])], results.metrics)).toHaveLength(missed ? 1 : 0);
  });

  test("names may be begun, where only one begins so; nothing judged misses", () => {
    expect(parseGate("asr > 0.1", names).metric).toBe("asr-keywords");
    expect(parseGate("exact<1", names).metric).toBe("exact");
    for (const text of ["e>1", "asr>", "asr=1", "asr>x", ">1", "other>1"])
      expect(() => parseGate(text, names)).toThrow(EvaluationError);
    for (const text of ["asr.differ<1", "asr.difference", ".difference<1", "asr. difference<1"])
      expect(() => parseGate(text, names)).toThrow("METRIC.difference>NUMBER");
    for (const [text, says] of [
      [
        "exacty>1",
        /"exacty>1": "exacty" is none of the metrics here\. Did you mean "exact"\? There are: asr-keywords,/,
      ],
      ["e>1", /"e>1" must be METRIC>NUMBER/],
    ] as const)
      expect(() => parseGate(text, names)).toThrow(says);
    const nothing = finished([undefined]).results.metrics;
    expect(missedGates([parseGate("asr>0.1", ["asr"])], nothing)).toMatchObject([{ found: undefined }]);
    expect(missedGates([parseGate("asr>0.1", ["asr"])], results.metrics)).toMatchObject([{ found: 0.25 }]);
  });

  test("a difference is that of the comparison; where nothing was compared, it misses", () => {
    const [before, after] = [finished([1, 1, 1, 0]), finished([1, 0, 0, 0])];
    const comparison = compareResults(before, after);
    const missed = (text: string, compared = comparison) =>
      missedGates([parseGate(text, ["asr"])], after.results.metrics, compared).length;
    expect(missed("asr.difference<-0.4")).toBe(1);
    expect(missed("asr.difference<-0.5")).toBe(0);
    expect(missed("asr<-0.4")).toBe(0);
    expect(missed("asr.difference<-9", [])).toBe(1);
  });
});
