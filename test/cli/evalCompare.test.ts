import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { saveResults, summarise } from "@safedelta/evaluation";
import { scratchFolder } from "../support/pico.ts";
import { safedelta } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
  await save("before", ["exact", "asr", "rouge1"]);
  await save("after", ["exact", "asr-own"]);
  await save("same", ["exact"]);
});
afterAll(() => scratch[Symbol.asyncDispose]());

/** An evaluation of one prompt that every metric holds true of. */
async function save(name: string, metrics: readonly string[]): Promise<void> {
  await mkdir(join(scratch.path, name));
  const value = { value: 1 };
  const summaries = metrics.map((metric) => summarise({ name: metric, kind: "rate" }, [value]));
  const judgements = Object.fromEntries(metrics.map((metric) => [metric, value]));
  await saveResults(
    join(scratch.path, name),
    { task: "t", time: "1", samplesFile: "samples_t_1.jsonl", promptsSha256: "p", metrics: summaries },
    [{ index: 0, messages: [], answer: "", judgements }],
    [],
  );
}

const [before, after] = ["before/results_1.json", "after/results_1.json"];
const alone = `warning: not compared, since only one side has them: asr, rouge1 (--against ${before}); asr-own (--compare ${after})\n`;

/** Exit code and stderr of a comparison. */
async function compared(compare: string, against: string, ...more: string[]) {
  const { code, stderr } = await safedelta(scratch.path, ["eval", "--compare", compare, "--against", against, ...more]);
  return [code, stderr];
}

test.concurrent("metrics that only one side has are told in one line, and nothing where there are none", async () => {
  expect(await compared(after, before)).toEqual([0, alone]);
  expect(await compared("same/results_1.json", "same/results_1.json")).toEqual([0, ""]);
});

test.concurrent("a gate on a metric that a side lacks counts as true and names that side", async () => {
  const gates = {
    "asr-own.difference>0": `--against ${before} has no metric asr-own`,
    "asr.difference>0": `--compare ${after} has no metric asr`,
    "rouge1<0.5": `--compare ${after} has no metric rouge1`,
  };
  const told = Object.entries(gates).map(([gate, why]) => `warning: --fail-if ${gate}: ${why}, which counts as true\n`);
  expect(await compared(after, before, "--fail-if", Object.keys(gates).join())).toEqual([3, alone + told.join("")]);
  expect((await compared(after, before, "--fail-if", "asr-own>1"))[0]).toBe(0);
});
