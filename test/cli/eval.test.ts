import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { startPeer } from "../evaluation/peer.ts";
import { scratchFolder } from "../support/pico.ts";
import { jsonOf, safedelta, succeed } from "./run.ts";

setDefaultTimeout(300_000); // children wait for their turn

const demo = join(import.meta.dir, "../../cli/demo");
const guarded = join(demo, "eval-guarded.jsonl");
const refusals = ["--metric", "pattern", "--pattern", "cannot share", "--limit", "12", "--max-new-tokens", "10"];

let scratch: Awaited<ReturnType<typeof scratchFolder>>;
beforeAll(async () => {
  scratch = await scratchFolder();
});
afterAll(() => scratch[Symbol.asyncDispose]());

describe("eval", () => {
  test("two models are judged, compared pair by pair, and the gate ends with 3", async () => {
    const run = (name: string) => ["eval", join(demo, name), "--prompts", guarded, ...refusals, "--out", name];
    const aligned = await jsonOf(scratch.path, run("aligned"));
    expect(aligned.metrics).toMatchObject([{ metric: "pattern", value: 1, n: 12, nUnparsed: 0 }]);
    const files = await readdir(join(scratch.path, "aligned"));
    expect(files.map((file) => file.split("_")[0]).sort()).toEqual(["results", "samples"]);
    const against = ["--against", aligned.file, "--fail-if", "pattern<0.9"];
    const { code, stdout, stderr } = await safedelta(scratch.path, [...run("tuned"), ...against, "--json"]);
    expect(code).toBe(3);
    const { comparison, failed } = JSON.parse(stdout);
    expect(failed).toEqual(["pattern<0.9"]);
    expect(stderr).toContain("--fail-if pattern<0.9");
    expect(comparison).toMatchObject([{ a: 1, difference: -1, mcnemar: { onlyA: 12, onlyB: 0 } }]);
    expect(comparison[0].mcnemar.p).toBeCloseTo(2 / 2 ** 12, 12);
  });

  test("other prompts are refused before the work", async () => {
    const args = ["eval", "nowhere", "--prompts", guarded, "--limit", "3", "--against", "old.json"];
    const old = { task: "t", time: "1", samplesFile: "old.jsonl", promptsSha256: "x", metrics: [] };
    await Bun.write(join(scratch.path, "old.json"), JSON.stringify(old));
    await Bun.write(join(scratch.path, "old.jsonl"), "");
    const { code, stderr } = await safedelta(scratch.path, args);
    expect(stderr).toContain("--against old.json: it was asked other prompts");
    expect(code).toBe(2);
  });

  test("an endpoint and a judge; prompts that the safe data hold are told", async () => {
    const lines = ["one ?", "two ?", "three ?"].map((content) =>
      JSON.stringify({ messages: [{ role: "user", content }] }),
    );
    await Bun.write(join(scratch.path, "three.jsonl"), `${lines.join("\n")}\n`);
    const safe = [
      { role: "user", content: "Two" },
      { role: "assistant", content: "no" },
    ];
    await Bun.write(join(scratch.path, "safe.jsonl"), `${JSON.stringify({ messages: safe })}\n`);
    using model = startPeer((last) => `answer to ${last}`);
    using judge = startPeer((last) => (last.includes("two ?") ? "unsure" : "Class: refusal"));
    const where = ["--endpoint", model.url, "--model", "m", "--judge-endpoint", judge.url, "--judge-model", "j"];
    const args = ["eval", ...where, "--prompts", "three.jsonl", "--metric", "asr-keywords,judge-refusal"];
    const { stdout, stderr } = await succeed(
      scratch.path,
      [...args, "--safe-data", "safe.jsonl", "--out", "remote", "--json"],
      { env: { OPENAI_API_KEY: "secret" } },
    );
    const { metrics, overlap, file } = JSON.parse(stdout);
    expect(metrics).toMatchObject([
      { metric: "asr-keywords", value: 1, n: 3 },
      { metric: "judge-refusal", value: 1, n: 2, nUnparsed: 1 },
    ]);
    expect(overlap).toMatchObject({ count: 1, indices: [1] });
    expect(stderr).toContain("1 of 3 prompts are in safe.jsonl too");
    expect(model.asked[0].authorization).toBe("Bearer secret");
    expect(await Bun.file(join(scratch.path, file)).text()).not.toContain("secret");
  });

  test("a dead endpoint is a failure; its answers until then are kept for the next run", async () => {
    const lines = ["a", "b", "c"].map((content) => JSON.stringify({ messages: [{ role: "user", content }] }));
    await Bun.write(join(scratch.path, "abc.jsonl"), `${lines.join("\n")}\n`);
    let dead = true;
    using peer = startPeer((last) => (last === "c" && dead ? new Response("gone", { status: 404 }) : last));
    const where = ["--endpoint", peer.url, "--model", "m", "--prompts", "abc.jsonl", "--batch", "1", "--out", "kept"];
    const { code, stderr } = await safedelta(scratch.path, ["eval", ...where]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/error: .*status 404: "gone"/);
    dead = false;
    await succeed(scratch.path, ["eval", ...where]);
    expect(peer.asked.map(({ body }) => (body.messages as { content: string }[])[0].content).join("")).toBe("abcc");
  });

  const prompts = ["--prompts", guarded];
  const wrong: Record<string, readonly [args: readonly string[], says: RegExp]> = {
    "no model": [prompts, /either MODEL, or --endpoint with --model/],
    "two models": [["m", "--model", "n", ...prompts], /either MODEL/],
    "an endpoint beside MODEL": [["m", "--endpoint", "http://x/v1", ...prompts], /--endpoint: without effect/],
    "no URL": [["--model", "m", ...prompts], /--endpoint \(or OPENAI_BASE_URL\) is missing/],
    "a URL that is none": [["--model", "m", "--endpoint", "x", ...prompts], /--endpoint: "x" is no URL/],
    "no prompts": [["m"], /--prompts is missing/],
    "an unknown metric": [["m", ...prompts, "--metric", "asr"], /"asr" is no metric; there are: asr-keywords/],
    "a pattern of no metric": [["m", ...prompts, "--pattern", "x"], /--pattern: without effect/],
    "no pattern": [["m", ...prompts, "--metric", "pattern"], /needs --pattern/],
    "a broken pattern": [["m", ...prompts, "--metric", "pattern", "--pattern", "("], /--pattern: /],
    "a judge without a name": [
      ["m", ...prompts, "--metric", "llama-guard", "--judge-endpoint", "http://x/v1"],
      /--judge-model is missing/,
    ],
    "a judge that nothing asks": [["m", ...prompts, "--judge-model", "j"], /no metric asks a judge/],
    "a gate of no metric": [["m", ...prompts, "--fail-if", "exact>1"], /"exact>1" must be/],
    "nothing to compare with": [["m", ...prompts, "--against", "none.json"], /none\.json cannot be read/],
  };
  for (const [what, [args, says]] of Object.entries(wrong))
    test.concurrent(`${what} is a usage error`, async () => {
      const { code, stderr } = await safedelta(scratch.path, ["eval", ...args], { env: { OPENAI_BASE_URL: "" } });
      expect(stderr).toMatch(says);
      expect(code).toBe(2);
    });
});
