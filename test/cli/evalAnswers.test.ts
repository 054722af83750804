import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { startPeer } from "../evaluation/peer.ts";
import { scratchFolder } from "../support/pico.ts";
import { jsonOf, safedelta } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

const demo = join(import.meta.dir, "../../cli/demo");
const model = join(demo, "aligned");
const prompts = join(demo, "eval-old.jsonl");

/** The flags of every evaluation here, with others over them. */
function flags(others: Readonly<Record<string, string | number>> = {}): string[] {
  const all = { prompts, limit: 6, "max-new-tokens": 4, engine: "wasm", ...others };
  return Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

const asked = flags();
const letters = ["--metric", "pattern", "--pattern", "[a-m]"];
const words = ["--metric", "exact,rouge1"];

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
let first: { readonly file: string; readonly samplesFile: string };
beforeAll(async () => {
  scratch = await scratchFolder();
  first = await jsonOf(scratch.path, ["eval", model, ...asked, ...letters, "--out", "first"]);
});
afterAll(() => scratch[Symbol.asyncDispose]());

const at = (...names: readonly string[]) => join(scratch.path, ...names);

/** The samples of an evaluation, line by line. */
async function samplesOf({ file, samplesFile }: typeof first) {
  const text = await Bun.file(at(dirname(file), samplesFile)).text();
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("eval --answers", () => {
  test("gives what a generation of its own gives, and tells where the answers come from", async () => {
    const own = await jsonOf(scratch.path, ["eval", model, ...asked, ...words, "--out", "own"]);
    for (const from of [first.file, "first"]) {
      const again = await jsonOf(scratch.path, [
        "eval",
        model,
        ...asked,
        ...words,
        "--answers",
        from,
        "--out",
        "again",
      ]);
      expect(again.answersFrom).toEqual({ file: first.file, version: own.version });
      const { time: _, samplesFile: __, file: ___, answersFrom: ____, ...rest } = again;
      expect(own).toMatchObject(rest);
      expect(await samplesOf(again)).toEqual(await samplesOf(own));
    }
  });

  test("generates nothing: what the samples say is judged, also beside a metric of the model", async () => {
    await cp(at("first"), at("edited"), { recursive: true });
    const lines = (await samplesOf(first)).map((sample) => JSON.stringify({ ...sample, answer: "zebra" }));
    await Bun.write(at("edited", first.samplesFile), lines.join("\n"));
    const judge = (metric: string, ...more: string[]) =>
      jsonOf(scratch.path, ["eval", model, ...asked, "--metric", metric, "--out", "judged", ...more]);
    const given = ["--pattern", "zebra", "--answers", "edited"];
    const one = await judge("pattern", ...given);
    expect(one.metrics).toMatchObject([{ metric: "pattern", value: 1 }]);
    const opening = ["--refusal-opening", "sorry"];
    const { metrics } = await judge("refusal-log-odds", ...opening);
    const both = await judge("pattern,refusal-log-odds", ...given, ...opening);
    expect(both.metrics).toEqual([...one.metrics, ...metrics]);
  });

  test("asks an endpoint nothing, under a secret prompt too", async () => {
    await Bun.write(at("hello.jsonl"), '{"messages":[{"role":"user","content":"hello"}],"reference":"to hello"}\n');
    await Bun.write(at("secret.txt"), "blue 7 horse");
    await Bun.write(at("other.txt"), "red 8 horse");
    using peer = startPeer((last) => `to ${last}`);
    const run = (name: string, secret = "secret.txt") => [
      ...["eval", "--endpoint", peer.url, "--model", name, "--prompts", "hello.jsonl", "--secret-prompt", secret],
      ...["--out", "remote"],
    ];
    const { file } = await jsonOf(scratch.path, run("m"));
    await cp(at("secret.txt"), at("moved.txt"));
    const again = await jsonOf(scratch.path, [...run("m", "moved.txt"), "--metric", "exact", "--answers", file]);
    expect(again.metrics).toMatchObject([{ metric: "exact", value: 1, n: 1 }]);
    expect(again.model.secretPrompt.file).toBe("moved.txt");
    const refused = async (args: readonly string[]) =>
      (await safedelta(scratch.path, [...args, "--answers", file])).stderr;
    expect(await refused(run("n"))).toContain("(model m, not n)");
    expect(await refused(run("m", "other.txt"))).toMatch(/\(secret prompt \w{64}, not \w{64}\)/);
    expect(peer.asked).toHaveLength(1);
  });

  const wrong: Record<string, readonly [args: readonly string[], says: RegExp]> = {
    "another model": [
      [join(demo, "tuned"), ...asked],
      /\(model \S*aligned with sha256 \w{64}, not \S*tuned with sha256 \w{64}\)\. Leave --answers out/,
    ],
    "another engine": [[model, ...flags({ engine: "reference" })], /\(engine wasm, not reference\)/],
    "other prompts": [[model, ...flags({ limit: 5 })], /\(prompts 6 with sha256 \w{64}, not 5 with sha256 \w{64}\)/],
    "a system prompt": [[model, ...flags({ system: "be brief" })], /\(prompts 6 with sha256 \w{64}, not 6 with/],
    "longer answers": [[model, ...flags({ "max-new-tokens": 5 })], /\(maxNewTokens 4, not 5\)/],
    "drawn answers": [[model, ...flags({ temperature: 1 })], /\(temperature 0, not 1; seed none, not 0\)/],
    "no metric that reads answers": [
      [model, ...flags({ metric: "refusal-log-odds" })],
      /--answers: without effect, since every metric looks at the model itself/,
    ],
  };
  for (const [what, [args, says]] of Object.entries(wrong))
    test.concurrent(`refuses ${what}`, async () => {
      const { code, stderr } = await safedelta(scratch.path, ["eval", ...args, "--answers", "first"]);
      expect(stderr).toMatch(says);
      expect(code).toBe(2);
    });

  test("refuses what has no answers", async () => {
    const odds = ["--metric", "refusal-log-odds", "--refusal-opening", "sorry", "--out", "odds"];
    const { file } = await jsonOf(scratch.path, ["eval", model, ...asked, ...odds]);
    const refused = async (from: string) => {
      const { code, stderr } = await safedelta(scratch.path, ["eval", model, ...asked, "--answers", from]);
      return [code, stderr];
    };
    expect(await refused("odds")).toEqual([
      2,
      expect.stringContaining(`--answers ${file}: it has none, since its metrics`),
    ]);
    await Bun.write(at("empty", "x"), "");
    expect(await refused("empty")).toEqual([2, expect.stringContaining("empty: no evaluation has written into it")]);
    expect(await refused("none.json")).toEqual([2, expect.stringContaining("none.json cannot be read")]);
  });
});
